//! Tests of the index: it is a sorted table, whatever is done to it, and what was read of it does not change.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::registry::capability::Capability;

fn candidate(path: &str, version: &'static str) -> Candidate<&'static str> {
    let capability: Capability<u8, u8> = Capability::new("math.sum", version);
    Candidate {
        path: path.parse().expect("a path"),
        offer: OfferRecord::of(&capability).expect("a version").into(),
        provider: version,
    }
}

fn paths(index: &Index<&'static str>) -> Vec<String> {
    index.candidates("math.sum").iter().map(|c| format!("{} {}", c.path, c.offer.version)).collect()
}

#[test]
fn candidates_stand_in_the_order_of_their_paths_whatever_the_order_of_registration() {
    let index = Index::default();
    for path in ["root/c", "root/a", "root/b"] {
        index.insert(candidate(path, "1.0.0"));
    }
    assert_eq!(paths(&index), ["root/a 1.0.0", "root/b 1.0.0", "root/c 1.0.0"]);
}

#[test]
fn registering_again_replaces_and_does_not_add() {
    let index = Index::default();
    index.insert(candidate("root/a", "1.0.0"));
    index.insert(candidate("root/a", "1.0.0"));
    index.insert(candidate("root/a", "2.0.0"));
    assert_eq!(paths(&index), ["root/a 1.0.0", "root/a 2.0.0"]);
}

#[test]
fn a_removed_path_offers_nothing_and_the_others_stay() {
    let index = Index::default();
    index.insert(candidate("root/a", "1.0.0"));
    index.insert(candidate("root/ab", "1.0.0"));
    index.remove(&"root/a".parse().expect("a path"));
    assert_eq!(paths(&index), ["root/ab 1.0.0"]);
    index.remove(&"root/ab".parse().expect("a path"));
    assert!(index.names().is_empty());
}

#[test]
fn who_fits_is_found_best_first_and_who_does_not_follows_with_the_reason() {
    let index = Index::default();
    for (path, version) in [("root/b", "1.4.0"), ("root/a", "1.4.0"), ("root/c", "1.5.0"), ("root/d", "2.0.0")] {
        index.insert(candidate(path, version));
    }
    let requirement = "math.>@^1.4".parse().expect("a requirement");
    let show = |judged: Vec<Judged<_>>| -> Vec<_> {
        judged.iter().map(|judged| format!("{}: {}", judged.candidate.path, judged.suitability)).collect()
    };
    let fit = ["root/c: fits with version 1.5.0", "root/a: fits with version 1.4.0", "root/b: fits with version 1.4.0"];
    assert_eq!(show(index.discover(&requirement)), fit);
    assert_eq!(show(index.judge(&requirement)), [&fit[..], &["root/d: offers version 2.0.0, not `^1.4`"]].concat());
    assert!(index.judge(&"text.>".parse().expect("a requirement")).is_empty());
    assert_eq!(index.discover(&"math.sum".parse().expect("a requirement")).len(), 4);
}

#[test]
fn a_provider_is_dropped_without_a_lock() {
    /// Asks the index when it is dropped, which would wait for itself under a lock.
    struct Asks(Arc<Index<Asks>>);
    impl Drop for Asks {
        fn drop(&mut self) {
            let path = "root/a".parse().expect("a path");
            self.0.retain(&path, |_| true);
            assert!(self.0.candidates("math.sum").len() <= 1);
        }
    }
    let index = Arc::new(Index::default());
    let put = |version| {
        let Candidate { path, offer, .. } = candidate("root/a", version);
        index.insert(Candidate { path, offer, provider: Asks(Arc::clone(&index)) });
    };
    put("1.0.0");
    put("1.0.0");
    index.remove(&"root/a".parse().expect("a path"));
    assert!(index.names().is_empty());
}

#[test]
fn the_turn_of_a_name_is_its_own_and_goes_up_by_one() {
    let index = Index::default();
    index.insert(candidate("root/a", "1.0.0"));
    let turns: Vec<_> = (0..3).map(|_| index.next("math.sum").1).collect();
    assert_eq!((turns, index.next("math.mean").1), (vec![0, 1, 2], 0));
}

#[derive(Clone, Debug)]
enum Step {
    Insert { name: u8, path: u8, version: u64 },
    Remove { path: u8 },
    RetainBelow { path: u8, version: u64 },
    Snapshot { name: u8 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (name, path, version) = (|| 0..3_u8, || 0..12_u8, || 0..3_u64);
    let step = prop_oneof![
        6 => (name(), path(), version()).prop_map(|(name, path, version)| Step::Insert { name, path, version }),
        2 => path().prop_map(|path| Step::Remove { path }),
        1 => (path(), version()).prop_map(|(path, version)| Step::RetainBelow { path, version }),
        1 => name().prop_map(|name| Step::Snapshot { name }),
    ];
    vec(step, 0..80)
}

type Model = BTreeMap<(u8, u8, u64), usize>;

fn name_of(name: u8) -> String {
    format!("test.name-{name}")
}

fn path_of(path: u8) -> Path {
    format!("root/agent-{path:02}").parse().expect("a path")
}

/// What a list holds, as the model has it.
fn held<'a>(list: impl Iterator<Item = &'a Arc<Candidate<usize>>>) -> Vec<(String, Path, u64, usize)> {
    let row = |candidate: &Arc<Candidate<usize>>| {
        let Candidate { path, offer, provider } = &**candidate;
        (offer.capability.to_string(), path.clone(), offer.version.major, *provider)
    };
    list.map(row).collect()
}

fn expected(model: &Model, counts: impl Fn(u8, u8) -> bool) -> Vec<(String, Path, u64, usize)> {
    let rows = model.iter().filter(|((name, path, _), _)| counts(*name, *path));
    rows.map(|((name, path, version), provider)| (name_of(*name), path_of(*path), *version, *provider)).collect()
}

proptest! {
    #[test]
    fn it_is_a_sorted_table_whatever_is_done_to_it_and_snapshots_never_change(steps in steps()) {
        let (index, mut model) = (Index::default(), Model::new());
        let mut snapshots = Vec::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Insert { name, path, version } => {
                    let offered: Capability<u8, u8> = Capability::named(name_of(name), format!("{version}.0.0"));
                    let offer = OfferRecord::of(&offered).expect("an offer").into();
                    index.insert(Candidate { path: path_of(path), offer, provider: number });
                    model.insert((name, path, version), number);
                }
                Step::Remove { path } => {
                    index.remove(&path_of(path));
                    model.retain(|key, _| key.1 != path);
                }
                Step::RetainBelow { path, version } => {
                    index.retain(&path_of(path), |offer| offer.version.major < version);
                    model.retain(|key, _| key.1 != path || key.2 < version);
                }
                Step::Snapshot { name } => {
                    snapshots.push((index.candidates(&name_of(name)), expected(&model, |other, _| other == name)));
                }
            }
            for name in 0..3 {
                prop_assert_eq!(held(index.candidates(&name_of(name)).iter()), expected(&model, |other, _| other == name));
            }
            for path in 0..12 {
                prop_assert_eq!(held(index.resolve(&path_of(path)).iter()), expected(&model, |_, other| other == path));
            }
            let mut names: Vec<_> = model.keys().map(|key| name_of(key.0)).collect();
            names.dedup();
            prop_assert_eq!(index.names(), names);
            prop_assert_eq!(index.by_path.len(), (0..12).filter(|path| model.keys().any(|key| key.1 == *path)).count());
            let all = index.discover(&"test.*".parse().expect("a requirement"));
            prop_assert_eq!(all.len(), model.len());
        }
        for (snapshot, model) in &snapshots {
            prop_assert_eq!(&held(snapshot.iter()), model);
        }
    }
}
