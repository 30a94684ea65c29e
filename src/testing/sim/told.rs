//! A failure, with all that is needed to run it again.

use std::env;
use std::fmt;

use super::{Output, Ran, Sim};
use crate::fault::Plan;

/// How many of the last lines of the trace are told.
const TAIL: usize = 40;

pub(super) struct Told<'a> {
    pub(super) sim: &'a Sim,
    pub(super) ran: &'a Ran,
    pub(super) smaller: Option<&'a Ran>,
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sim, ran, smaller } = self;
        let shown = smaller.unwrap_or(ran);
        writeln!(f, "{} fails for seed {}", sim.name, ran.seed)?;
        writeln!(f, "{}", shown.failure.as_deref().unwrap_or_default())?;
        if !ran.plan.faults.is_empty() {
            writeln!(f, "\nfaults that came: {}", ran.plan)?;
        }
        if let Some(smaller) = smaller {
            let none = smaller.plan.faults.is_empty();
            let plan = if none { "none at all".to_owned() } else { smaller.plan.to_string() };
            writeln!(f, "fewest that still fail: {plan}")?;
        }
        let entries = shown.trace.entries();
        let most = if sim.output == Output::Whole { usize::MAX } else { TAIL };
        let hidden = entries.len().saturating_sub(most);
        writeln!(f, "\nwhat happened{}:", if hidden == 0 { "" } else { ", at last (all of it: SIM_TRACE=1)" })?;
        for entry in &entries[hidden..] {
            writeln!(f, "{entry}")?;
        }
        write!(f, "\nrun it again with\n  {}", self.again(&shown.plan))
    }
}

impl Told<'_> {
    /// One line that runs exactly this again.
    fn again(&self, plan: &Plan) -> String {
        let plan = plan.to_string().replace('\'', "'\\''");
        // The first word of the path is the file of the test, or its crate, which the harness leaves out.
        let (_, name) = self.sim.name.split_once("::").unwrap_or(("", &self.sim.name));
        let package = env::var("CARGO_PKG_NAME").map(|package| format!(" -p {package}")).unwrap_or_default();
        format!("SIM_SEED={} SIM_PLAN='{plan}' cargo test{package} {name} -- --exact --nocapture", self.ran.seed)
    }
}
