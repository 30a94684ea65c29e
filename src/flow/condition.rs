//! Conditions under which an agent is to be started: something that is measured reaches a threshold.
//!
//! A condition fires when a value reaches its threshold, and then not again before a value was below the threshold at which it
//! is armed again. So a value that stays high, or trembles at the threshold, starts one agent and not a hundred.
//!
//! # Invariants
//!
//! * Between two fires there is a value below `rearm_below`, unless the first was taken back.
//! * What is no number neither fires nor arms.

use std::fmt;

/// Something to be started when a value reaches a threshold.
///
/// ```
/// use steadfast::flow::SpawnCondition;
///
/// let mut condition = SpawnCondition::new("VALIDATION_NEEDED", 0.8, "GAMMA").rearm_below(0.6);
/// let fired = [0.5, 0.8, 0.9, 0.7, 0.8, 0.5, 0.85].map(|value| condition.observe(value));
/// assert_eq!(fired, [false, true, false, false, false, false, true]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SpawnCondition {
    trigger: String,
    agent: String,
    threshold: f64,
    rearm_below: f64,
    armed: bool,
}

impl SpawnCondition {
    /// Starts an agent of this kind when the trigger's value reaches the threshold, at it or above. It is armed again by a
    /// value below the threshold.
    #[must_use]
    pub fn new(trigger: impl Into<String>, threshold: f64, agent: impl Into<String>) -> Self {
        Self { trigger: trigger.into(), agent: agent.into(), threshold, rearm_below: threshold, armed: true }
    }

    /// Sets below which value it is armed again. Above the threshold it counts as the threshold.
    #[must_use]
    pub fn rearm_below(mut self, value: f64) -> Self {
        self.rearm_below = value.min(self.threshold);
        self
    }

    /// Learns a value. Returns whether the agent is to be started for it.
    #[must_use]
    pub fn observe(&mut self, value: f64) -> bool {
        if value < self.rearm_below {
            self.armed = true;
        }
        let fires = self.armed && value >= self.threshold;
        self.armed &= !fires;
        fires
    }

    /// Takes a fire back that came to nothing, as when a limit forbade the start: the next value that is high fires.
    pub fn take_back(&mut self) {
        self.armed = true;
    }

    /// What is measured.
    #[must_use]
    pub fn trigger(&self) -> &str {
        &self.trigger
    }

    /// What is started.
    #[must_use]
    pub fn agent(&self) -> &str {
        &self.agent
    }

    /// Looks for settings that make no sense.
    ///
    /// # Errors
    ///
    /// [`ConditionProblem`] when a threshold is no number, or has no name.
    pub fn check(&self) -> Result<(), ConditionProblem> {
        if self.trigger.is_empty() || self.agent.is_empty() {
            return Err(ConditionProblem::Nameless);
        }
        let trigger = || self.trigger.clone();
        if !self.threshold.is_finite() {
            return Err(ConditionProblem::NoNumber { trigger: trigger(), field: "threshold" });
        }
        if !self.rearm_below.is_finite() {
            return Err(ConditionProblem::NoNumber { trigger: trigger(), field: "rearm_below" });
        }
        Ok(())
    }
}

impl fmt::Display for SpawnCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} >= {} starts {}", self.trigger, self.threshold, self.agent)
    }
}

/// A condition that cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConditionProblem {
    /// A threshold is no number.
    #[error("`{field}` of the condition `{trigger}` is no finite number; expected one such as 0.8")]
    NoNumber {
        /// The condition.
        trigger: String,
        /// The setting.
        field: &'static str,
    },
    /// It does not say what is measured, or what is started.
    #[error("a condition has no `trigger` or no `agent`; expected a name for each")]
    Nameless,
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn condition() -> SpawnCondition {
        SpawnCondition::new("load", 0.8, "helper")
    }

    #[test]
    fn it_fires_at_the_threshold_and_once_per_crossing() {
        let mut condition = condition();
        let fired = [0.79, 0.8, 1.0, 0.8, 0.79, 0.8].map(|value| condition.observe(value));
        assert_eq!(fired, [false, true, false, false, false, true]);
    }

    #[test]
    fn a_value_that_trembles_at_the_threshold_fires_once_where_it_is_armed_further_below() {
        let mut condition = condition().rearm_below(0.5);
        let fires = (0..100).filter(|turn| condition.observe(if turn % 2 == 0 { 0.81 } else { 0.79 })).count();
        assert_eq!(fires, 1);
        assert!(!condition.observe(0.49) && condition.observe(0.8));
    }

    #[test]
    fn a_fire_that_came_to_nothing_may_be_taken_back() {
        let mut condition = condition();
        assert!(condition.observe(0.9));
        condition.take_back();
        assert!(condition.observe(0.9) && !condition.observe(0.9));
    }

    #[test]
    fn what_is_no_number_neither_fires_nor_arms() {
        let mut condition = condition();
        assert!(!condition.observe(f64::NAN));
        assert!(condition.observe(0.9));
        assert!(!condition.observe(f64::NAN) && !condition.observe(0.9));
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        let told = |condition: SpawnCondition| condition.check().map_err(|problem| problem.to_string());
        assert_eq!(told(condition()), Ok(()));
        let expected = "`threshold` of the condition `load` is no finite number; expected one such as 0.8";
        assert_eq!(told(SpawnCondition::new("load", f64::NAN, "helper")), Err(expected.to_owned()));
        assert!(told(condition().rearm_below(f64::NEG_INFINITY)).is_err());
        assert!(told(SpawnCondition::new("", 1.0, "helper")).is_err());
    }

    proptest! {
        #[test]
        fn between_two_fires_is_a_value_below_the_one_that_arms(values in vec(0..100_u8, 0..200)) {
            let mut condition = SpawnCondition::new("load", 80.0, "helper").rearm_below(60.0);
            let mut may_fire = true;
            for value in values {
                may_fire |= value < 60;
                let fired = condition.observe(f64::from(value));
                // It fires whenever it may.
                prop_assert_eq!(fired, may_fire && value >= 80);
                may_fire &= !fired;
            }
        }
    }
}
