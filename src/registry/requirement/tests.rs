//! Tests of requirements: their grammar, their errors, and which offer suits better.

use std::cmp::Ordering;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::registry::capability::Capability;

fn requirement(text: &str) -> Requirement {
    text.parse().unwrap_or_else(|error: SyntaxError| panic!("{error:#}"))
}

fn offer(name: &str, version: &str, attributes: &[(&str, &str)]) -> OfferRecord {
    let mut offered: Capability<u8, u8> = Capability::named(name.to_owned(), version.to_owned());
    for (key, value) in attributes {
        offered = offered.attribute(*key, *value);
    }
    OfferRecord::of(&offered).expect("an offer")
}

#[track_caller]
fn refused(text: &str, at: usize, expected: &str) {
    let error = text.parse::<Requirement>().expect_err("it is refused");
    assert_eq!(error.text(), text);
    assert_eq!((error.byte(), error.expected()), (at, expected), "{error:#}");
}

const KEY: &str = "a letter, digit, `-` or `_`";
const IN_NAME: &str = "a letter, digit, `-`, `_` or `.`";

#[test]
fn each_part_is_read_and_printed() {
    let wanted = requirement("text.summarize@>=1.2,<2 lang=en|de ~gpu region!=eu !beta ~lang=de");
    assert_eq!(wanted.pattern().as_str(), "text.summarize");
    assert_eq!(wanted.range().to_string(), ">=1.2, <2");
    assert_eq!(
        wanted.needed().iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["lang=en|de", "region!=eu", "!beta"]
    );
    assert_eq!(wanted.preferred().iter().map(ToString::to_string).collect::<Vec<_>>(), ["gpu", "lang=de"]);
    assert_eq!(wanted.to_string(), "text.summarize@>=1.2,<2 lang=en|de region!=eu !beta ~gpu ~lang=de");
}

#[test]
fn spaces_around_the_words_do_not_matter_and_no_range_is_any_range() {
    assert_eq!(requirement("  a.b \t x=1\n"), requirement("a.b x=1"));
    assert_eq!(requirement("a.b@*"), requirement("a.b"));
    assert_eq!(requirement("a.b@1.2"), requirement("a.b@^1.2"));
}

#[test]
fn a_built_requirement_is_the_one_that_is_written() {
    let predicate = |text: &str| text.parse::<Predicate>().expect("a predicate");
    let built = Requirement::of(Pattern::new("a.*").expect("a pattern"))
        .version(VersionReq::parse("^1.2").expect("a range"))
        .needs(predicate("x=1"))
        .prefers(predicate("y"));
    assert_eq!(built, requirement("a.*@^1.2 x=1 ~y"));
    let compatible = Requirement::compatible(CapabilityName::new("a.b").expect("a name"), &Version::new(1, 2, 3));
    assert_eq!(compatible, requirement("a.b@^1.2.3"));
}

#[test]
fn a_refused_requirement_is_pointed_at_where_it_is_wrong() {
    refused("", 0, "the name of a capability, or a pattern");
    refused("  ", 2, "the name of a capability, or a pattern");
    refused("@1", 0, KEY);
    refused("a..b@1", 2, KEY);
    refused(" a.b!x", 4, IN_NAME);
    refused("a.>.b", 3, "nothing after `>`, which stands for the rest");
    refused("a x=1 y=", 8, "a letter, digit, `-`, `_`, `.`, `:`, `/` or `+`");
    refused("a x=1 y!2", 8, "`=` after `!`");
    refused("a ~", 3, KEY);
    refused("a ~x=1 ~~y", 8, KEY);
    refused("ä", 0, KEY);
}

#[test]
fn a_wrong_range_is_pointed_at_where_it_stops_being_one() {
    let at = |text: &str| {
        let error = text.parse::<Requirement>().expect_err("it is refused");
        assert!(error.expected().starts_with("a range of versions such as `^1.2` or `>=1.2,<2` ("), "{error}");
        error.byte()
    };
    assert_eq!(at("a@"), 2);
    assert_eq!(at("a@^"), 3);
    assert_eq!(at("a@one"), 2);
    assert_eq!(at("a@1.2#3"), 5);
    assert_eq!(at("a@>=1.2,<x2"), 9);
    assert_eq!(at("a@1.2,"), 6);
    assert_eq!(at("a@1@2"), 3);
}

#[test]
fn an_error_draws_the_text_and_a_caret_under_the_character() {
    let error = "text.sum@^1 lang=en region!eu".parse::<Requirement>().expect_err("it is refused");
    let drawn = "text.sum@^1 lang=en region!eu\n                           ^";
    assert_eq!(error.marked(), drawn);
}

#[test]
fn a_requirement_is_one_text_where_it_is_serialised() {
    let wanted = requirement("a.*@^1.2 x=1 ~y");
    let json = serde_json::to_string(&wanted).expect("it can be written");
    assert_eq!(json, "\"a.*@^1.2 x=1 ~y\"");
    assert_eq!(serde_json::from_str::<Requirement>(&json).expect("it can be read"), wanted);
    let error = serde_json::from_str::<Requirement>("\"a..b\"").expect_err("it is refused");
    assert!(error.to_string().starts_with("expected a letter, digit, `-` or `_` at character 3 of `a..b`"), "{error}");
}

#[test]
fn the_first_thing_that_is_missing_is_the_reason() {
    let wanted = requirement("a.b@^1.2 x=1 y");
    let reason = |offered: OfferRecord| wanted.matches(&offered).to_string();
    assert_eq!(reason(offer("a.c", "2.0.0", &[])), "offers `a.c`, not `a.b`");
    assert_eq!(reason(offer("a.b", "2.0.0", &[])), "offers version 2.0.0, not `^1.2`");
    assert_eq!(reason(offer("a.b", "1.2.0", &[("x", "2")])), "has `x=2`, not `x=1`");
    assert_eq!(reason(offer("a.b", "1.2.0", &[("x", "1")])), "has no attribute `y`, not `y`");
    assert_eq!(reason(offer("a.b", "1.2.0", &[("x", "1"), ("y", "2")])), "fits with version 1.2.0");
}

#[test]
fn a_fit_says_which_preferences_it_meets() {
    let wanted = requirement("a ~x ~y ~z");
    let reason = |attributes: &[(&str, &str)]| wanted.matches(&offer("a", "1.0.0", attributes)).to_string();
    assert_eq!(reason(&[]), "fits with version 1.0.0, meets none of 3 preferences");
    assert_eq!(reason(&[("x", "1"), ("z", "1")]), "fits with version 1.0.0, meets of 3 preferences number 1, 3");
    assert_eq!(reason(&[("x", "1"), ("y", "1"), ("z", "1")]), "fits with version 1.0.0, meets all of 3 preferences");
}

#[test]
fn a_pre_release_answers_only_who_asks_for_one() {
    let offered = offer("a", "1.2.0-rc.1", &[]);
    assert!(!requirement("a").fits(&offered));
    assert!(!requirement("a@^1").fits(&offered));
    assert!(requirement("a@^1.2.0-rc.1").fits(&offered));
}

#[test]
fn an_earlier_preference_outweighs_all_later_ones_and_those_a_higher_version() {
    let wanted = requirement("a.b@<3 x=1 ~p ~q ~r");
    let fits = |version: &str, preferred: &[&str]| {
        let attributes: Vec<_> = preferred.iter().map(|key| (*key, "1")).chain([("x", "1")]).collect();
        wanted.matches(&offer("a.b", version, &attributes))
    };
    let best_first = [
        fits("1.0.0", &["p", "q", "r"]),
        fits("1.0.0", &["p"]),
        fits("2.0.0", &["q", "r"]),
        fits("1.0.0", &["r"]),
        fits("2.0.0", &[]),
        fits("1.9.9", &[]),
        wanted.matches(&offer("a.b", "2.0.0", &[("x", "2")])),
        wanted.matches(&offer("a.b", "3.0.0", &[("x", "1")])),
        wanted.matches(&offer("a.c", "1.0.0", &[("x", "1")])),
    ];
    for (left, this) in best_first.iter().enumerate() {
        for (right, that) in best_first.iter().enumerate() {
            assert_eq!(this.by_suitability(that), left.cmp(&right), "{this} and {that}");
        }
    }
}

fn segment() -> impl Strategy<Value = String> {
    "[a-c]{1,2}"
}

fn name() -> impl Strategy<Value = String> {
    vec(segment(), 1..4).prop_map(|segments| segments.join("."))
}

fn pattern() -> impl Strategy<Value = String> {
    let wild = (vec(prop_oneof![segment(), Just("*".to_owned())], 0..3), select(vec![">", "*", "a"]));
    let wild = wild.prop_map(|(mut segments, last)| {
        segments.push(last.to_owned());
        segments.join(".")
    });
    prop_oneof![name(), wild]
}

fn range() -> impl Strategy<Value = String> {
    let part = ("[\\^~=<>]?|>=|<=", 0_u64..3, option::of((0_u64..3, option::of((0_u64..3, option::of("rc\\.[1-9]"))))));
    let part = part.prop_map(|(sign, major, rest)| {
        let Some((minor, rest)) = rest else { return format!("{sign}{major}") };
        let Some((patch, pre)) = rest else { return format!("{sign}{major}.{minor}") };
        let pre = pre.map_or(String::new(), |pre| format!("-{pre}"));
        format!("{sign}{major}.{minor}.{patch}{pre}")
    });
    prop_oneof![4 => vec(part, 1..3).prop_map(|parts| parts.join(",")), 1 => select(vec!["*", "1.*", "1.2.*"]).prop_map(str::to_owned)]
}

fn predicate() -> impl Strategy<Value = String> {
    let values = vec("[a-b1]", 1..3).prop_map(|values| values.join("|"));
    ("[x-z]", values, 0..4_u8).prop_map(|(key, values, kind)| match kind {
        0 => format!("{key}={values}"),
        1 => format!("{key}!={values}"),
        2 => key,
        _ => format!("!{key}"),
    })
}

fn written() -> impl Strategy<Value = String> {
    (pattern(), option::of(range()), vec((predicate(), any::<bool>()), 0..5)).prop_map(
        |(pattern, range, predicates)| {
            let mut text = pattern + &range.map_or(String::new(), |range| format!("@{range}"));
            for (predicate, preferred) in predicates {
                text += if preferred { " ~" } else { " " };
                text += &predicate;
            }
            text
        },
    )
}

fn offered() -> impl Strategy<Value = OfferRecord> {
    let attributes = proptest::collection::btree_map("[x-z]", "[a-b1]", 0..3);
    (name(), 0_u64..3, 0_u64..3, attributes).prop_map(|(name, major, minor, attributes)| {
        let attributes: Vec<_> = attributes.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        offer(&name, &format!("{major}.{minor}.0"), &attributes)
    })
}

proptest! {
    #[test]
    fn a_requirement_survives_printing_and_parsing(text in written()) {
        let wanted = requirement(&text);
        prop_assert_eq!(&requirement(&wanted.to_string()), &wanted);
        prop_assert_eq!(requirement(&wanted.to_string()).to_string(), wanted.to_string());
    }

    #[test]
    fn no_text_panics_and_an_error_points_into_it(text in "([ a-b.*>@^=<!~|1ä,-]{0,20})|.{0,20}") {
        match text.parse::<Requirement>() {
            Ok(wanted) => prop_assert_eq!(requirement(&wanted.to_string()), wanted),
            Err(error) => {
                prop_assert_eq!(error.text(), &text);
                prop_assert!(text.is_char_boundary(error.byte()), "{}", error);
            }
        }
    }

    #[test]
    fn who_fits_is_judged_so_and_who_does_not_has_a_reason(text in written(), offer in offered()) {
        let wanted = requirement(&text);
        prop_assert_eq!(wanted.matches(&offer).fits(), wanted.fits(&offer));
    }

    #[test]
    fn a_preference_changes_the_order_and_never_who_fits(text in written(), offer in offered()) {
        let wanted = requirement(&text);
        let mut plain = wanted.clone();
        plain.preferred.clear();
        prop_assert_eq!(plain.fits(&offer), wanted.fits(&offer));
    }

    #[test]
    fn suitability_is_a_total_order(text in written(), offers in vec(offered(), 3)) {
        let wanted = requirement(&text);
        let judged: Vec<_> = offers.iter().map(|offer| wanted.matches(offer)).collect();
        let [a, b, c] = &judged[..] else { unreachable!("there are three") };
        prop_assert_eq!(a.by_suitability(b), b.by_suitability(a).reverse());
        if a.by_suitability(b) != Ordering::Greater && b.by_suitability(c) != Ordering::Greater {
            prop_assert!(a.by_suitability(c) != Ordering::Greater, "{} {} {}", a, b, c);
        }
    }
}
