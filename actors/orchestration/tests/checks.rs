//! What a check lets pass, what it says when it does not, and the three verdicts on a result.

use serde_json::{Value, json};
use steadfast_orchestration::goal::model::{Check, FailureClass};
use steadfast_orchestration::redact::{REDACTED, Redactor};
use steadfast_orchestration::seam::commands::{Completed, Exit};
use steadfast_orchestration::seam::files::Files;
use steadfast_orchestration::seam::testing::{MemoryFiles, ScriptedCommands};
use steadfast_orchestration::work::schema::violations;
use steadfast_orchestration::work::validate::{AllowAll, Policy, Subject, Verdict, validate};
use steadfast_orchestration::work::{Outcome, Tools, Work, WorkSpec, perform};

async fn check_in(files: &dyn Files, check: Value) -> Result<Value, String> {
    let check: Check = serde_json::from_value(check).expect("it is a check");
    let commands = ScriptedCommands::new(|_| Ok(Completed::new(Exit::Code(0))));
    let redactor = Redactor::new();
    match perform(&Work::new("check", WorkSpec::Check(check)), Tools::new(files, &commands, &redactor)).await {
        Ok(Outcome::Done { value }) => Ok(value),
        Ok(Outcome::Skipped { reason }) => panic!("skipped: {reason}"),
        Err(failure) => {
            assert_eq!(failure.class, FailureClass::Invalid);
            Err(failure.message)
        }
    }
}

async fn assertion(assertion: Value) -> Result<Value, String> {
    check_in(&MemoryFiles::new(), json!({ "assert": [assertion] })).await
}

#[tokio::test]
async fn an_assertion_that_holds_passes() {
    let holding = [
        json!({ "value": 1, "equals": 1.0 }),
        json!({ "value": { "a": [1] }, "equals": { "a": [1] } }),
        json!({ "value": "a", "not_equals": "b" }),
        json!({ "value": 5, "at_least": 5, "at_most": 5 }),
        json!({ "value": [1, 2], "at_least": 2 }),
        json!({ "value": "äöü", "at_most": 3 }),
        json!({ "value": "version 1.2", "matches": "\\d+\\.\\d+$" }),
        json!({ "value": "abc", "contains": "b" }),
        json!({ "value": [{ "a": 1 }], "contains": { "a": 1 } }),
    ];
    for statement in holding {
        assert_eq!(assertion(statement).await, Ok(json!({ "passed": true, "assertions": 1 })));
    }
}

#[tokio::test]
async fn an_assertion_that_does_not_hold_says_what_is_instead() {
    let cases = [
        (json!({ "value": 1, "equals": 2 }), "assertion 1 does not hold: 1 is not 2"),
        (json!({ "value": "1", "equals": 1 }), "\"1\" is not 1"),
        (json!({ "value": 9_007_199_254_740_993_u64, "equals": 9_007_199_254_740_992_u64 }), "is not"),
        (json!({ "value": "a", "not_equals": "a" }), "\"a\" is what it must not be"),
        (json!({ "value": 5, "at_least": 6 }), "5 is less than 6"),
        (json!({ "value": [1], "at_least": 2 }), "the length 1 is less than 2"),
        (json!({ "value": "abc", "at_most": 2 }), "the length 3 is more than 2"),
        (json!({ "value": null, "at_most": 2 }), "null has no size"),
        (json!({ "value": "abc", "matches": "^b" }), "\"abc\" does not match `^b`"),
        (json!({ "value": "abc", "matches": "(" }), "`(` is not a regular expression"),
        (json!({ "value": [1], "contains": 2 }), "[1] does not contain 2"),
        (json!({ "value": "a" }), "says nothing about its value"),
        (json!({ "value": 1, "equals": 2, "message": "no tests" }), "no tests (assertion 1: 1 is not 2)"),
        (json!({ "value": "token=abc123", "equals": "x" }), "\"token=***REDACTED***\" is not"),
    ];
    for (statement, expected) in cases {
        let message = assertion(statement).await.expect_err("it does not hold");
        assert!(message.contains(expected), "{message}");
    }
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_at_once() {
    let check = json!({
        "value": { "n": "x", "list": [1, "a"] },
        "schema": { "required": ["name"], "properties": { "n": { "type": "number" }, "list": { "items": { "type": "integer" } } } },
        "assert": [{ "value": 1, "equals": 1 }, { "value": 1, "equals": 2 }],
    });
    let message = check_in(&MemoryFiles::new(), check).await.expect_err("much is wrong");
    let lines: Vec<&str> = message.lines().collect();
    assert_eq!(lines.len(), 5, "{message}");
    assert!(lines[1].starts_with("  the value: \"name\" is a required property"), "{message}");
    assert_eq!(lines[2], "  /list/1: \"a\" is not of type \"integer\"");
    assert_eq!(lines[3], "  /n: \"x\" is not of type \"number\"");
    assert_eq!(lines[4], "assertion 2 does not hold: 1 is not 2");
}

#[tokio::test]
async fn a_schema_that_cannot_be_used_is_refused_and_nothing_is_fetched() {
    for schema in [
        json!({ "type": "nonsense" }),
        json!({ "$ref": "https://example.com/x.json" }),
        json!({ "$ref": "file:///etc/passwd" }),
    ] {
        assert!(violations(&schema, &json!(1)).is_err(), "{schema}");
    }
    assert!(
        check_in(&MemoryFiles::new(), json!({ "schema": {} })).await.expect_err("no value").contains("needs a `value`")
    );
    assert!(
        check_in(&MemoryFiles::new(), json!({})).await.expect_err("nothing").contains("nothing says what to check")
    );
}

#[tokio::test]
async fn a_secret_scan_tells_places_and_kinds_and_never_the_text() {
    let files = MemoryFiles::new()
        .with("a.txt", "one\nAKIAIOSFODNN7EXAMPLE\n")
        .with("b.bin", [&[0xff; 10][..], b"\npassword=hunter2\n"].concat())
        .with("c.txt", "nothing");
    let report = json!({ "secrets": { "files": ["**"], "on_findings": "report" } });
    let findings = json!([
        { "path": "a.txt", "line": 2, "kind": "aws-key" },
        { "path": "b.bin", "line": 2, "kind": "assignment" },
    ]);
    assert_eq!(
        check_in(&files, report).await,
        Ok(json!({ "passed": true, "secrets": { "files": 3, "findings": findings } }))
    );
    let message = check_in(&files, json!({ "secrets": { "files": ["**"] } })).await.expect_err("there are some");
    assert!(
        message.starts_with("2 secrets were found; ") && message.contains("a.txt:2: an AWS access key"),
        "{message}"
    );
    assert!(!message.contains("AKIA") && !message.contains("hunter2"), "{message}");
}

#[tokio::test]
async fn a_secret_in_a_large_file_is_found_wherever_it_is_and_once() {
    const MIB: usize = 1 << 20;
    let at = [10, MIB - 10, MIB + 100, 2 * MIB - 17_000, 3 * MIB];
    let mut bytes = vec![b'.'; 4 * MIB];
    for start in at {
        bytes[start..start + 20].copy_from_slice(b"AKIAIOSFODNN7EXAMPLE");
        bytes[start + 30] = b'\n';
    }
    let files = MemoryFiles::new().with("big", bytes);
    let value =
        check_in(&files, json!({ "secrets": { "files": ["*"], "on_findings": "report" } })).await.expect("it is done");
    let lines: Vec<u64> = value["secrets"]["findings"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|found| found["line"].as_u64())
        .collect();
    assert_eq!(lines, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_file_is_covered_by_its_head_or_by_a_licence_file_above_it() {
    let far = format!("{}// SPDX-License-Identifier: MIT\n", "\n".repeat(30));
    let files = MemoryFiles::new()
        .with("a/LICENSE-MIT", "")
        .with("a/deep/x.rs", "")
        .with("b/spdx.rs", "// SPDX-License-Identifier: MIT\n")
        .with("b/text.rs", "/* Licensed under the Apache Licence */")
        .with("b/far.rs", far)
        .with("b/none.rs", "fn main() {}")
        .with("none.rs", "");
    let scan = json!({ "licences": { "files": ["**/*.rs"], "on_findings": "report" } });
    let found = json!([{ "path": "b/far.rs" }, { "path": "b/none.rs" }, { "path": "none.rs" }]);
    assert_eq!(
        check_in(&files, scan).await,
        Ok(json!({ "passed": true, "licences": { "files": 6, "findings": found } }))
    );
    let message = check_in(&files, json!({ "licences": { "files": ["b/*"] } })).await.expect_err("two have none");
    assert!(message.starts_with("2 files have no licence; add an SPDX line"), "{message}");
    let covered = files.with("COPYING", "");
    assert!(check_in(&covered, json!({ "licences": { "files": ["**"] } })).await.is_ok());
}

struct Refuses;

impl Policy for Refuses {
    fn judge(&self, subject: Subject<'_>) -> Verdict {
        Verdict::Fail(vec![format!("`{}` may not", subject.task)])
    }
}

fn subject<'s>(value: &'s Value, schema: Option<&'s Value>) -> Subject<'s> {
    Subject { goal: "g", task: "t", value, schema }
}

#[test]
fn a_result_passes_only_when_all_three_verdicts_do() {
    let (number, good, bad) =
        (json!({ "type": "object" }), json!({ "n": 1 }), json!([{ "auth": "x" }, "password=abc1"]));
    let redactor = Redactor::new();
    let all = validate(subject(&good, Some(&number)), &AllowAll, &redactor);
    assert!(all.passed() && all.reasons().is_empty());
    let none = validate(subject(&bad, Some(&number)), &Refuses, &redactor);
    assert!(!none.passed());
    assert_eq!(none.policy, Verdict::Fail(vec!["`t` may not".into()]));
    assert_eq!(
        none.security.reasons(),
        ["/0/auth holds a value under the key of a secret", "/1 holds an assigned secret"]
    );
    assert!(none.reasons()[0].starts_with("schema: the value: "), "{:?}", none.reasons());
    for (policy, value) in [(&Refuses as &dyn Policy, &good), (&AllowAll, &bad)] {
        assert!(!validate(subject(value, None), policy, &redactor).passed());
    }
}

#[test]
fn what_was_redacted_passes_the_security_verdict() {
    let redactor = Redactor::new().with_literals(["12345678"]);
    let value = json!({ "token": { "x": 1 }, "ghp_0123456789abcdefghij": [12_345_678, "Bearer xyz"], "n": REDACTED });
    assert!(!validate(subject(&value, None), &AllowAll, &redactor).security.passed());
    assert!(validate(subject(&redactor.value(&value), None), &AllowAll, &redactor).passed());
}
