//! Guarantee: what is wrong with a `sim_test` is said by the compiler, at its place.

#[test]
fn a_sim_test_that_is_wrong_does_not_compile_and_says_what_was_expected() {
    trybuild::TestCases::new().compile_fail("tests/ui/sim_test_misused.rs");
}
