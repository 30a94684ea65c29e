//! What subjects and patterns guarantee.

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::*;

fn subject(text: &str) -> Subject {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

fn pattern(text: &str) -> Pattern {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

/// A text that is refused, with the place in it marked by `|`.
#[track_caller]
fn refused<T: FromStr<Err = InvalidSubject> + std::fmt::Debug>(marked: &str, problem: SubjectProblem) {
    let at = marked.find('|').expect("the place is marked");
    let error = marked.replacen('|', "", 1).parse::<T>().expect_err("it is refused");
    assert_eq!((error.at, error.problem), (at, problem), "{error}");
}

#[test]
fn an_error_points_at_the_character_where_the_text_ceases_to_be_a_subject() {
    use SubjectProblem::{Character, EmptyToken, TooLong, TooManyTokens, Wildcard};
    refused::<Subject>("|", EmptyToken);
    refused::<Subject>("|.a", EmptyToken);
    refused::<Subject>("a.|", EmptyToken);
    refused::<Subject>("a.|.b", EmptyToken);
    refused::<Subject>("a.b| c", Character);
    refused::<Subject>("a.b|ü", Character);
    refused::<Subject>("a.|*", Wildcard);
    refused::<Subject>("a.b|>", Wildcard);
    refused::<Subject>(&format!("{}|a", "a.".repeat(MOST_TOKENS)), TooManyTokens);
    refused::<Subject>(&format!("{}|a", "a".repeat(LONGEST_SUBJECT)), TooLong);
    refused::<Subject>(&format!("{}|ü", "a".repeat(LONGEST_SUBJECT - 1)), TooLong);
    assert_eq!(
        "a.b c".parse::<Subject>().expect_err("it is refused").to_string(),
        "`a.b c` is not a subject; at character 4, ` `: a token holds printable ASCII characters, but no space, `.`, \
         `*` or `>`"
    );
}

#[test]
fn a_pattern_has_wildcards_for_whole_tokens_and_the_rest_at_its_end() {
    use SubjectProblem::{EmptyToken, RestNotLast, WildcardInToken};
    for text in ["*", ">", "a.*.b", "*.*", "a.>", "*.>"] {
        assert_eq!(pattern(text).to_string(), text);
    }
    refused::<Pattern>("a.b|*", WildcardInToken);
    refused::<Pattern>("a.|>b", WildcardInToken);
    refused::<Pattern>("a.|>.b", RestNotLast);
    refused::<Pattern>("a.|>.>", RestNotLast);
    refused::<Pattern>("*.|", EmptyToken);
}

#[test]
fn patterns_match_as_the_table_says() {
    let cases = [
        ("agents.data.cache.evicted", "agents.data.cache.evicted", true),
        ("agents.data.cache.evicted", "agents.data.cache", false),
        ("agents.data.cache", "agents.data.cache.evicted", false),
        ("agents.*.cache.evicted", "agents.data.cache.evicted", true),
        ("agents.*.cache.evicted", "agents.cache.evicted", false),
        ("agents.*.cache.evicted", "agents.a.b.cache.evicted", false),
        ("agents.data.>", "agents.data.cache", true),
        ("agents.data.>", "agents.data.cache.evicted", true),
        ("agents.data.>", "agents.data", false),
        (">", "a", true),
        ("*", "a.b", false),
        ("*.>", "a", false),
    ];
    for (wanted, text, expected) in cases {
        assert_eq!(pattern(wanted).matches(&subject(text)), expected, "{wanted} and {text}");
    }
}

#[test]
fn the_subjects_of_two_agents_differ_and_an_action_is_one_token() {
    let id = |text: &str| format!("{text}@1.0.0#{}", uuid::Uuid::nil()).parse::<AgentId>().expect("an id");
    let of = |agent: &str| Subject::of_agent(&id(agent), "done").expect("a subject");
    assert_eq!(of("a.b/c").as_str(), "agents.a%2Eb.c.done");
    assert_ne!(of("a.b/c"), of("a/b.c"));
    assert!(pattern("agents.*.*.done").matches(&of("a.b/c.d")));
    for action in ["", "a.b", "*", ">"] {
        assert!(Subject::of_agent(&id("a/b"), action).is_err(), "{action:?} was accepted");
    }
}

/// What the table says, said once more in another way: by recursion on what is left of both.
fn matches_by_definition(wanted: &[&str], tokens: &[&str]) -> bool {
    match (wanted, tokens) {
        ([], []) | ([">"], [_, ..]) => true,
        (["*", wanted @ ..], [_, tokens @ ..]) => matches_by_definition(wanted, tokens),
        ([first, wanted @ ..], [token, tokens @ ..]) => first == token && matches_by_definition(wanted, tokens),
        _ => false,
    }
}

proptest! {
    #[test]
    fn a_pattern_matches_exactly_what_its_definition_says(
        wanted in r"([ab*]\.){0,3}[ab*>]", text in r"([ab]\.){0,3}[ab]",
    ) {
        let (wanted_tokens, tokens) = (wanted.split('.').collect::<Vec<_>>(), text.split('.').collect::<Vec<_>>());
        let expected = matches_by_definition(&wanted_tokens, &tokens);
        prop_assert_eq!(pattern(&wanted).matches(&subject(&text)), expected);
    }

    #[test]
    fn any_text_is_a_subject_that_prints_as_it_is_or_an_error_at_a_character(text in "[a.*> ü]{0,12}") {
        match text.parse::<Subject>() {
            Ok(subject) => prop_assert_eq!(subject.as_str(), &text),
            Err(error) => prop_assert!(text.is_char_boundary(error.at), "{}", error),
        }
        // Who accepts it as a subject accepts it as a pattern.
        prop_assert!(text.parse::<Subject>().is_err() || text.parse::<Pattern>().is_ok());
    }

    #[test]
    fn a_long_text_is_refused_at_a_character(text in any::<String>(), times in 0_usize..600) {
        if let Err(error) = text.repeat(times).parse::<Pattern>() {
            prop_assert!(error.text.is_char_boundary(error.at));
        }
    }
}
