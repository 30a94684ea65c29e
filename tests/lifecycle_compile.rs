//! An illegal transition of an agent's life does not compile, and the message says which and why.

#[test]
fn an_illegal_transition_does_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/legal_life.rs");
    cases.compile_fail("tests/ui/active_before_registered.rs");
    cases.compile_fail("tests/ui/back_from_terminated.rs");
    cases.compile_fail("tests/ui/state_used_twice.rs");
}
