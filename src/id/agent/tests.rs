//! What the ids of agents guarantee.

use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};

use super::*;
use crate::message::codec::{Bincode, Codec, Schema};

const INSTANCE: &str = "00000000-0000-0000-0000-000000000007";

fn id(text: &str) -> AgentId {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

/// A text that is refused, with the place in it marked by `|`.
#[track_caller]
fn refused(marked: &str, expected: &AgentIdProblem) {
    let at = marked.find('|').expect("the place is marked");
    let text = marked.replacen('|', "", 1);
    let error = text.parse::<AgentId>().expect_err("it is refused");
    assert_eq!((error.at, &error.problem), (at, expected), "{error}");
}

fn any_version() -> impl Strategy<Value = Version> {
    let pre = prop_oneof![Just(""), Just("-rc.1"), Just("-alpha-2.x"), Just("-0")];
    let build = prop_oneof![Just(""), Just("+build.007"), Just("+abc-def")];
    (any::<(u64, u64, u64)>(), pre, build).prop_map(|((major, minor, patch), pre, build)| {
        format!("{major}.{minor}.{patch}{pre}{build}").parse().expect("a version")
    })
}

fn any_id() -> impl Strategy<Value = AgentId> {
    let name = || "[a-zA-Z0-9._:-]{1,12}".prop_map(|name| ChildId::new(&name).expect("a name"));
    (name(), name(), any::<u128>(), any_version()).prop_map(|(domain, name, instance, version)| AgentId {
        domain,
        name,
        instance: Uuid::from_u128(instance),
        version,
    })
}

proptest! {
    #[test]
    fn an_id_survives_printing_and_both_forms_of_serde(id in any_id()) {
        prop_assert_eq!(id.to_string().parse::<AgentId>(), Ok(id.clone()));
        let frame = Bincode.encode(Schema(1), &id).expect("it has bytes");
        prop_assert_eq!(&Bincode.decode::<AgentId>(Schema(1), &frame).expect("they are an id"), &id);
        let json = serde_json::to_string(&id).expect("it has a text");
        prop_assert_eq!(&json, &format!("\"{id}\""));
        prop_assert_eq!(serde_json::from_str::<AgentId>(&json).expect("it is an id"), id);
    }

    #[test]
    fn the_order_is_total_and_agrees_with_equality(a in any_id(), b in any_id(), c in any_id()) {
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        prop_assert_eq!(a == b, a.cmp(&b).is_eq());
        if a <= b && b <= c {
            assert!(a <= c);
        }
    }

    #[test]
    fn any_text_is_an_id_that_prints_or_an_error_at_a_character_of_it(text in "[ab/@#.0-9 -]{0,60}|.{0,20}") {
        match text.parse::<AgentId>() {
            Ok(id) => prop_assert_eq!(id.to_string().to_lowercase(), text.to_lowercase()),
            Err(error) => assert!(text.is_char_boundary(error.at), "{error}"),
        }
    }
}

#[test]
fn an_error_points_at_the_character_where_the_text_ceases_to_be_an_id() {
    refused("|", &AgentIdProblem::NoSlash);
    refused("data|", &AgentIdProblem::NoSlash);
    refused(&format!("|/kv@1.0.0#{INSTANCE}"), &AgentIdProblem::Name);
    refused(&format!("da|ß/kv@1.0.0#{INSTANCE}"), &AgentIdProblem::Name);
    refused(&format!("data/k| v@1.0.0#{INSTANCE}"), &AgentIdProblem::Name);
    refused(&format!("data/k|/v@1.0.0#{INSTANCE}"), &AgentIdProblem::Name);
    refused("data/kv|", &AgentIdProblem::NoVersion);
    refused("data/kv@1.0.0|", &AgentIdProblem::NoInstance);
    refused("data/kv@1.0.0#|", &AgentIdProblem::Instance);
    refused("data/kv@1.0.0#0000|x", &AgentIdProblem::Instance);
    refused("data/kv@1.0.0#|{00000000-0000-0000-0000-000000000007}", &AgentIdProblem::Instance);
    refused(&format!("data/kv@1.0.0#{INSTANCE}|0"), &AgentIdProblem::Instance);
}

#[test]
fn a_version_is_refused_at_the_character_that_spoils_it() {
    for marked in ["1|", "1.|", "1.2|", "|v1.2.3", "1.|x.3", "1.0|1.3", "1.2.3|.4", "1.2.3-|", "1.2.3-a.|", "1.2.3| "] {
        let at = marked.find('|').expect("the place is marked");
        let text = marked.replacen('|', "", 1);
        assert_eq!(version(&text).expect_err("it is refused").0, at, "{text}");
    }
    assert_eq!(version(&"1".repeat(10_000)).expect_err("it is refused").0, 256);
}

#[test]
fn an_error_reads_as_a_sentence_that_names_the_remedy() {
    let error = "data/k v@1.0.0".parse::<AgentId>().expect_err("it is refused");
    assert_eq!(
        error.to_string(),
        "`data/k v@1.0.0` is not an agent id; at character 7, ` `: a name holds letters, digits, `-`, `_`, `.` and \
         `:`, at least one of them"
    );
}

#[test]
fn ids_are_ordered_by_domain_then_name_then_instance_then_version() {
    let ordered = [
        format!("a/z@9.0.0#{INSTANCE}"),
        format!("b/a@2.0.0#{INSTANCE}"),
        format!("b/b@1.0.0-rc.1#{INSTANCE}"),
        format!("b/b@1.0.0#{INSTANCE}"),
        "b/b@0.1.0#00000000-0000-0000-0000-000000000008".to_owned(),
    ];
    let ids: Vec<_> = ordered.iter().map(|text| id(text)).collect();
    assert!(ids.is_sorted());
}

#[test]
fn by_default_the_domain_is_the_first_name_below_the_root_and_the_version_that_of_the_first_offer() {
    let version = |text: &str| text.parse::<Version>().expect("a version");
    let made = |path: &str, offered: &[Version]| {
        let path: Path = path.parse().expect("a path");
        let AgentId { domain, name, version, .. } = AgentId::by_default(&path, offered, Uuid::nil());
        format!("{domain}/{name}@{version}")
    };
    assert_eq!(made("root/data/pool/cache", &[version("1.4.0"), version("2.0.0")]), "data/cache@1.4.0");
    assert_eq!(made("root/data/cache", &[]), "data/cache@0.0.0");
    assert_eq!(made("root/adder", &[]), "root/adder@0.0.0");
    assert_eq!(made("root", &[]), "root/root@0.0.0");
}

#[test]
fn the_parts_of_an_id_in_bytes_are_checked_as_those_in_text() {
    let parts = Parts { domain: "da ta", name: "kv", instance: Uuid::nil(), version: "1.0.0" };
    let frame = Bincode.encode(Schema(1), &parts).expect("it has bytes");
    assert!(Bincode.decode::<AgentId>(Schema(1), &frame).is_err());
}
