//! A failure, with all that is needed to run it again.

use std::env;
use std::fmt;

use super::{Again, Output, Ran, Sim};

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
        write!(f, "\nrun it again with\n  {}", self.again(shown))
    }
}

impl Told<'_> {
    /// One line that runs exactly this again.
    fn again(&self, shown: &Ran) -> String {
        let faults = match self.ran.by {
            Again::Plan => format!(" SIM_PLAN='{}'", shown.plan.to_string().replace('\'', "'\\''")),
            Again::Test => String::new(),
            Again::Twice => " SIM_TWICE=1".to_owned(),
        };
        let package = env::var("CARGO_PKG_NAME").map(|package| format!(" -p {package}")).unwrap_or_default();
        // The first word of the path is the file of the test, or its crate, which the harness leaves out.
        let test = match self.sim.name.split_once("::") {
            Some((_, name)) => format!(" {name} -- --exact --nocapture"),
            None => format!(" -- --nocapture   # with the name of the test that says `{}`", self.sim.name),
        };
        format!("SIM_SEED={}{faults} cargo test{package}{test}", self.ran.seed)
    }
}
