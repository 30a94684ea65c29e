//! No secret survives the redactor, redacting twice is redacting once, and ordinary text is left alone.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};
use steadfast_orchestration::redact::{Kind, REDACTED, Redactor, SECRET_KEYS};
use steadfast_orchestration::secrets::{Finding, scan};

#[track_caller]
fn check(text: &str, told: &str) {
    let redactor = Redactor::new();
    assert_eq!(redactor.text(text), told);
    assert_eq!(redactor.text(told), told, "redacting twice");
}

#[track_caller]
fn unchanged(text: &str) {
    check(text, text);
    assert_eq!(Redactor::new().would_change_text(text), None);
}

#[test]
fn the_six_keys_hide_what_stands_under_them_whatever_it_is() {
    for key in SECRET_KEYS {
        for value in [json!("x"), json!(1), json!(null), json!(false), json!(["x"]), json!({ "x": "y" }), json!("")] {
            let key = key.to_uppercase();
            let told = Redactor::new().value(&json!([{ "a": { key.clone(): value } }]));
            assert_eq!(told, json!([{ "a": { key: REDACTED } }]));
        }
    }
}

#[test]
fn a_key_is_known_by_its_last_words() {
    for key in [
        "db_password",
        "DB_PASSWORD",
        "accessToken",
        "access-token",
        "client.secret",
        "DBPassword",
        "X-Api-Key",
        "apiKey",
        "STRIPE_APIKEY",
        "proxyAuthorization",
        "basic_auth",
        "APIKey",
        "_token_",
    ] {
        assert_eq!(Redactor::new().value(&json!({ key: "hunter2x" })), json!({ key: REDACTED }), "{key}");
        assert_eq!(Redactor::new().would_change_entry(key, &json!("hunter2x")), Some(Kind::Key), "{key}");
    }
}

#[test]
fn other_keys_are_left_alone() {
    for key in ["author", "authority", "tokens", "token_count", "tokenCount", "secretary", "key", "api", "", "_"] {
        assert_eq!(Redactor::new().value(&json!({ key: "hunter2x" })), json!({ key: "hunter2x" }), "{key}");
    }
    let value = json!({ "tokens": 3, "author": "ann", "passwords": ["a"], "auth_method": "none", "secretary": "bob" });
    assert_eq!(Redactor::new().value(&value), value);
}

#[test]
fn a_token_behind_its_scheme_is_hidden() {
    check("Bearer xyz", "Bearer ***REDACTED***");
    check("authorization: bearer abc.def-1", "authorization: ***REDACTED***");
    check("Authorization: Bearer abc123\nHost: x", "Authorization: ***REDACTED***\nHost: x");
    check("Proxy-Authorization: Basic dXNlcjpwYXNz", "Proxy-Authorization: ***REDACTED***");
    check("use Basic dXNlcjpwYXNz here", "use Basic ***REDACTED*** here");
    check("curl -H 'Authorization: token abcdef' http://x", "curl -H 'Authorization: ***REDACTED***' http://x");
}

#[test]
fn an_assigned_secret_is_hidden_in_any_notation() {
    check("password=hunter2", "password=***REDACTED***");
    check("DB_PASSWORD=a&b;c,d rest", "DB_PASSWORD=***REDACTED*** rest");
    check("token: abc123", "token: ***REDACTED***");
    check("api_key=\"abc def\"", "api_key=\"***REDACTED***\"");
    check("apiKey = 'a\\'b' # x", "apiKey = '***REDACTED***' # x");
    check("accessToken: `a1b2`", "accessToken: `***REDACTED***`");
    check("'token' => 'a1b2'", "'token' => '***REDACTED***'");
    check("password: swordfish", "password: ***REDACTED***");
    check("tool --password hunter2 --user bob", "tool --password ***REDACTED*** --user bob");
    check("secret = \"\"\"a\nb\"\"\" x", "secret = \"\"\"***REDACTED***\"\"\" x");
    check("{\"a\": {\"Token\" : 12, \"b\": 1} and more", "{\"a\": {\"Token\" : ***REDACTED***, \"b\": 1} and more");
    check("log {\"auth\": {\"u\": [1]}} x", "log {\"auth\": ***REDACTED***} x");
    check("log {\\\"password\\\": \\\"a b\\\"} x", "log {\\\"password\\\": \\\"***REDACTED***\\\"} x");
}

#[test]
fn json_in_a_text_is_treated_as_json() {
    check(r#"{"auth":{"user":"x"},"n":1}"#, r#"{"auth":"***REDACTED***","n":1}"#);
    check("{\"token\":[1]}\nplain\n{\"n\":1}\n", "{\"token\":\"***REDACTED***\"}\nplain\n{\"n\":1}\n");
    check(r#""{\"password\":\"x\"}""#, r#""{\"password\":\"***REDACTED***\"}""#);
    unchanged("{ \"b\" : 1,\n  \"a\" : 2.0 }");
}

#[test]
fn a_secret_that_a_doubled_key_hides_in_json_is_found() {
    let told = Redactor::new().text(r#"{"a":"AKIAIOSFODNN7EXAMPLE","a":"x"}"#).into_owned();
    assert!(!told.contains("AKIA"), "{told}");
}

#[test]
fn a_password_in_a_url_is_hidden_and_a_port_is_not() {
    check("postgres://ann:p%40ss@db/x", "postgres://ann:***REDACTED***@db/x");
    check("postgres://ann:p@ss/w@db/x", "postgres://ann:***REDACTED***@db/x");
    unchanged("http://localhost:8080/a@b");
    unchanged("see http://auth:8080/x and http://my.token:80");
    unchanged("https://github.com/a/b@v1");
}

#[test]
fn a_private_key_is_hidden_even_when_a_part_of_it_is_missing() {
    let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----";
    check(&format!("a\n{key}\nb"), "a\n***REDACTED***\nb");
    check("a -----BEGIN PRIVATE KEY-----\nMIIE", "a ***REDACTED***");
    check("MIIE\nabc=\n-----END PRIVATE KEY-----\nb", "***REDACTED***\nb");
}

#[test]
fn prose_and_code_about_secrets_are_left_alone() {
    for text in [
        "the password is wrong",
        "error: unexpected token: `}`",
        "unexpected token: expected an expression",
        "bearer authentication and Bearer tokens",
        "Basic authentication, basic functionality",
        "let token = next_token;",
        "token: Option<String>,",
        "password: &str,",
        "password: String,",
        "auth: Auth::new(),",
        "if token == other",
        "Token::Kind",
        "auth://host",
        "password: null",
        "curl -H \"Authorization: Bearer $TOKEN\"",
        "password=${DB_PASSWORD}",
        "--token <TOKEN>",
        "task-abcdefghijklmnop-12345678",
        "author=ann",
        "behind `token:`, `secret =` or `auth:` is left alone",
        "Token => \"a bearer token\",",
    ] {
        unchanged(text);
    }
}

#[test]
fn a_literal_is_hidden_as_it_is_and_as_json_escapes_it() {
    let redactor = Redactor::new().with_literals(["a\"b\nc", "1234", "abc", "  spaced  "]);
    assert_eq!(redactor.text("x a\"b\nc y"), "x ***REDACTED*** y");
    assert_eq!(redactor.text("log: {\"k\": \"a\\\"b\\nc\" "), "log: {\"k\": \"***REDACTED***\" ");
    assert_eq!(redactor.text("spaced"), REDACTED);
    assert_eq!(redactor.text("abc"), "abc", "too short to be searched for");
    assert_eq!(redactor.value(&json!({ "n": 112_345, "m": 7 })), json!({ "n": REDACTED, "m": 7 }));
    assert_eq!(redactor.would_change_text("x 1234"), Some(Kind::Literal));
}

#[test]
fn a_literal_that_is_a_part_of_the_mark_does_not_grow_it() {
    let redactor = Redactor::new().with_literals(["REDACTED", "ACTE", "****"]);
    let told = redactor.text("password=x REDACTED").into_owned();
    assert_eq!(told, "password=***REDACTED*** ***REDACTED***");
    assert_eq!(redactor.text(&told), told);
}

#[test]
fn two_keys_that_look_the_same_once_redacted_both_keep_their_values() {
    let value = json!({ "ghp_0123456789abcdefghij": 1, "ghp_abcdefghij0123456789": 2 });
    let told = Redactor::new().value(&value);
    assert_eq!(told, json!({ "***REDACTED***": 1, "***REDACTED*** (2)": 2 }));
    assert_eq!(Redactor::new().value(&told), told);
}

#[test]
fn what_would_change_is_told_by_kind() {
    let redactor = Redactor::new();
    assert_eq!(redactor.would_change_entry("Token", &json!("x")), Some(Kind::Key));
    assert_eq!(redactor.would_change_entry("token", &json!(REDACTED)), None);
    assert_eq!(redactor.would_change_entry("x", &json!(["AKIAIOSFODNN7EXAMPLE"])), Some(Kind::AwsKey));
    assert_eq!(redactor.would_change_entry("password=x", &json!(1)), Some(Kind::Assignment));
    assert_eq!(redactor.would_change_text(r#"{"\u0061uth":[]}"#), Some(Kind::Key));
    assert_eq!(redactor.would_change_entry("name", &json!("ann")), None);
}

#[test]
fn a_redactor_does_not_show_its_literals() {
    assert!(!format!("{:?}", Redactor::new().with_literals(["hunter22"])).contains("hunter22"));
}

#[test]
fn a_scan_tells_line_and_kind_and_never_the_text() {
    let bytes = b"first\nkey = \"AKIAIOSFODNN7EXAMPLE\"\n\xff\xfe password=hunter2\nlet token = next();\n";
    let at = |line, kind| Finding { path: "a".into(), line, kind };
    assert_eq!(scan("a", bytes), [at(2, Kind::AwsKey), at(3, Kind::Assignment)]);
    assert!(!format!("{:?}", scan("a", bytes)).contains("AKIA"));
}

#[test]
fn a_scan_reads_what_is_not_text() {
    let mut bytes = vec![0xff; 1000];
    bytes.extend(b"ghp_0123456789abcdefghij0123456789abcdef");
    bytes.extend([0, 0xfe]);
    assert_eq!(scan("x", &bytes).len(), 1);
}

#[test]
fn a_text_that_repeats_a_name_without_end_is_read_in_time_that_grows_with_its_length_alone() {
    // With a look at all of the rest for each name these would take hours.
    for text in ["password=", "{\"auth\":{", "authorization: ", "-----BEGIN PRIVATE KEY-----", "x://y:", "Bearer "] {
        let text = text.repeat((1 << 17) / text.len());
        assert!(!Redactor::new().text(&text).is_empty(), "{text:.20}");
    }
}

/// A text that is a secret by its looks.
fn shaped() -> impl Strategy<Value = String> {
    prop_oneof![
        "AKIA[A-Z0-9]{16}",
        "gh[po]_[A-Za-z0-9]{36}",
        "github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}",
        "xox[bp]-[0-9]{11}-[A-Za-z0-9]{24}",
        "sk-[A-Za-z]{20}[0-9][A-Za-z0-9]{20}",
        "sk-ant-api03-[A-Za-z0-9_-]{40}",
        "AIza[A-Za-z0-9_-]{35}",
        "eyJ[A-Za-z0-9]{20}\\.[A-Za-z0-9_-]{20}\\.[A-Za-z0-9_-]{20}",
    ]
}

/// A text that is a secret by the name in front of it, and how it may be written.
fn assigned() -> impl Strategy<Value = (String, String)> {
    let name = select(vec!["password", "API_KEY", "token", "Secret", "auth", "db_password", "--token", "X-Auth"]);
    let form =
        select(vec![("=", ""), ("=\"", "\""), (": '", "'"), ("\": \"", "\""), (" = \"", "\""), ("\\\":\\\"", "\\\"")]);
    (name, form, "[a-z][0-9][A-Za-z0-9!#%+/:?@^_~-]{4,20}[0-9]")
        .prop_map(|(name, (open, close), secret)| (format!("{name}{open}{secret}{close}"), secret))
}

/// What a secret is planted as: the text that is written, and the secret in it.
fn planted() -> impl Strategy<Value = (String, String)> {
    prop_oneof![
        shaped().prop_map(|secret| (secret.clone(), secret)),
        assigned(),
        "[A-Za-z0-9._~+/-]{8,40}[0-9]".prop_map(|secret| (format!("Bearer {secret}"), secret)),
        "[a-z0-9]{8,20}[0-9]".prop_map(|secret| (format!("ftp://ann:{secret}@host/x"), secret)),
        "[A-Za-z0-9+/]{64}".prop_map(|secret| {
            (format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----"), secret)
        }),
    ]
}

fn any_case(key: &'static str) -> impl Strategy<Value = String> {
    prop::collection::vec(any::<bool>(), key.len()).prop_map(move |upper| {
        let cased = |(letter, upper): (char, &bool)| if *upper { letter.to_ascii_uppercase() } else { letter };
        key.chars().zip(&upper).map(cased).collect()
    })
}

/// A value with a secret somewhere in it.
fn hiding() -> impl Strategy<Value = (Value, String)> {
    let words = || "[ \\n(,]{1}|[a-z]{0,8} |[a-z]{1,5}\\n";
    let in_text = (words(), planted(), "[ \\n)]?|[ \\n][a-z ]{0,10}")
        .prop_map(|(before, (text, secret), after)| (Value::from(format!("{before}{text}{after}")), secret));
    let in_key = planted().prop_map(|(text, secret)| (json!({ text: 1 }), secret));
    let under_key = (select(SECRET_KEYS.to_vec()).prop_flat_map(any_case), "[a-z0-9]{6,12}", 0..4_usize).prop_map(
        |(key, secret, form)| {
            let forms = [json!(secret), json!([secret]), json!({ "x": secret }), json!([[{ secret.as_str(): 0 }]])];
            (json!({ key: forms[form] }), secret)
        },
    );
    let wrap = |value: Value, how: &u8| match how {
        0 => json!([1, value]),
        1 => json!({ "deep": value, "n": 1 }),
        2 => Value::from(value.to_string()),
        3 => Value::from(format!("{value:#}\n")),
        4 => Value::from(format!("first line\n{value}\nlast line")),
        _ => json!({ "a": [{ "b": value }] }),
    };
    (prop_oneof![in_text, in_key, under_key], prop::collection::vec(0_u8..6, 0..6))
        .prop_map(move |((value, secret), ways)| (ways.iter().fold(value, wrap), secret))
}

fn ordinary() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[a-zA-Z]{1,12}",
        "[0-9a-f]{64}",
        "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
        "(/?[a-z_]{1,8}/){0,4}[a-z]{1,8}\\.(rs|toml|json)",
        "20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:00Z",
        "-?[0-9]{1,12}(\\.[0-9]{1,4})?",
        "[0-9]{1,2}\\.[0-9]{1,2}\\.[0-9]{1,2}",
        "https?://[a-z]{3,9}\\.[a-z]{2,3}(:[0-9]{2,4})?/[a-z/]{0,10}",
        "[äöüß€日本]{1,5}",
        "[.,;!?(){}<>\"'-]",
    ];
    prop::collection::vec(part, 0..20).prop_map(|parts| parts.join(" "))
}

fn any_json() -> impl Strategy<Value = Value> {
    let key = prop_oneof![3 => "[a-z]{1,5}".boxed(), 1 => select(SECRET_KEYS.to_vec()).prop_map(str::to_owned).boxed(), 1 => any::<String>().boxed()];
    let text = prop_oneof![
        any::<String>(),
        planted().prop_map(|(text, _)| text),
        "(password|token|auth)[=: \"'\\\\{]{1,4}[ -~]{0,12}"
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.prop_map(Value::from)
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner.clone(), 0..5)
                .prop_map(|entries| Value::Object(Map::from_iter(entries))),
            inner.prop_map(|value| Value::from(value.to_string())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_planted_secret_survives((value, secret) in hiding()) {
        let redactor = Redactor::new();
        let told = redactor.value(&value);
        prop_assert!(!told.to_string().contains(&secret), "{told} still holds {secret}");
        prop_assert_eq!(redactor.value(&told), told);
    }

    #[test]
    fn no_literal_survives(literal in "[ -~äö\\n\\t]{4,20}", before in "[a-z\" ]{0,5}", ways in prop::collection::vec(0_u8..3, 0..4)) {
        prop_assume!(literal.trim().len() >= 4);
        let redactor = Redactor::new().with_literals([&literal]);
        let text = Value::from(format!("{before}{literal}"));
        let value = ways.iter().fold(text, |value, how| match how {
            0 => json!({ "deep": [value] }),
            1 => Value::from(value.to_string()),
            _ => json!([value, 1]),
        });
        let told = redactor.value(&value);
        prop_assert!(!texts(&told).iter().any(|text| text.contains(literal.trim())), "{told} still holds {literal}");
        prop_assert_eq!(redactor.value(&told), told);
    }

    #[test]
    fn redacting_twice_is_redacting_once(value in any_json()) {
        let redactor = Redactor::new().with_literals(["aaaa", "12345", "***R"]);
        let told = redactor.value(&value);
        prop_assert_eq!(redactor.value(&told), told);
    }

    #[test]
    fn redacting_a_text_twice_is_redacting_it_once(text in "([ -~\\n]{0,30}(password|token|Bearer|auth|://a:|sk-|eyJ|Basic|--secret)[ -~\\n]{0,20}){0,4}") {
        let redactor = Redactor::new();
        let told = redactor.text(&text).into_owned();
        prop_assert_eq!(redactor.text(&told), told.as_str());
        prop_assert_eq!(redactor.would_change_text(&text).is_some(), told != text);
    }

    #[test]
    fn ordinary_text_is_left_alone(text in ordinary()) {
        prop_assert_eq!(Redactor::new().text(&text), text.as_str());
        prop_assert_eq!(scan("x", text.as_bytes()), []);
    }

    #[test]
    fn any_bytes_can_be_scanned(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = scan("x", &bytes);
    }
}

/// Every text in a value, keys included.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(entries) => {
            entries.iter().flat_map(|(key, item)| [vec![key.clone()], texts(item)].concat()).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn a_word_is_hidden_only_where_it_stands_alone_and_is_long_enough() {
    let redactor = Redactor::new().with_words(["stable", "nightly-2026", "12345678"]);
    for text in ["src/stable.rs", "my_nightly-2026", "nightly-20260101", "nightly-2026é"] {
        assert_eq!(redactor.text(text), text);
    }
    assert_eq!(redactor.text("a/nightly-2026/b"), "a/***REDACTED***/b");
    assert_eq!(redactor.text("log \\\"a\\nnightly-2026\\\""), "log \\\"a\\n***REDACTED***\\\"");
    assert_eq!(redactor.value(&json!([12_345_678, 123_456_789])), json!([REDACTED, 123_456_789]));
}
