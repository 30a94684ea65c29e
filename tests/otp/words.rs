//! The words of the format, as values of the framework, and back.

use std::time::Duration;

use serde_json::{Value, json};

use steadfast::supervision::{
    AutoShutdown, ChildKind, ChildRules, Counts, Intensity, Refusal, Restart, Rules, Shutdown, SpecProblem, Strategy,
    policy::check_children,
};
use steadfast::{ChildId, ExitReason, Failure, ShutdownCause};

use super::format::Node;

/// A reason with which something ends by itself.
pub(crate) fn reason(word: &str) -> ExitReason {
    match word {
        "normal" => ExitReason::Normal,
        "shutdown" => ExitReason::SHUTDOWN,
        "kill" | "killed" => ExitReason::Killed,
        other => match other.strip_prefix("shutdown:") {
            Some(payload) => ExitReason::Shutdown(ShutdownCause::Because(payload.to_owned())),
            None => ExitReason::Failed(Failure::new(other)),
        },
    }
}

pub(crate) fn reason_word(reason: &ExitReason) -> String {
    match reason {
        ExitReason::Normal => "normal".to_owned(),
        ExitReason::Shutdown(ShutdownCause::Because(payload)) => format!("shutdown:{payload}"),
        ExitReason::Shutdown(_) => "shutdown".to_owned(),
        ExitReason::Killed => "killed".to_owned(),
        _ => "crash".to_owned(),
    }
}

/// From what was started down to what failed.
pub(crate) fn failed_path(reason: &ExitReason) -> Vec<String> {
    let mut path = Vec::new();
    let mut reason = reason;
    while let ExitReason::Shutdown(ShutdownCause::ChildFailedToStart { child, reason: of_child }) = reason {
        path.push(child.to_string());
        reason = of_child;
    }
    path
}

pub(crate) fn failed_to_start(reason: &ExitReason) -> Value {
    json!({ "error": "failed_to_start", "path": failed_path(reason) })
}

pub(crate) fn error(word: &str) -> Value {
    json!({ "error": word })
}

pub(crate) fn invalid(why: &str) -> Value {
    json!({ "error": "invalid_spec", "why": why })
}

pub(crate) fn why(problem: &SpecProblem) -> &'static str {
    match problem {
        SpecProblem::DuplicateId { .. } => "duplicate_id",
        SpecProblem::PeriodZero => "invalid_period",
        SpecProblem::SignificantPermanent { .. } => "significant_permanent",
        SpecProblem::SignificantButNever { .. } => "significant_but_never",
        SpecProblem::TemplateOnly | SpecProblem::OtherKind => "simple_needs_one_template",
        _ => "invalid",
    }
}

pub(crate) fn refusal(refusal: &Refusal) -> Value {
    match refusal {
        Refusal::AlreadyStarted { .. } => error("already_started"),
        Refusal::AlreadyPresent => error("already_present"),
        Refusal::FailedToStart(reason) => failed_to_start(reason),
        Refusal::NotFound => error("not_found"),
        Refusal::Running => error("running"),
        Refusal::Restarting => error("restarting"),
        Refusal::Dynamic => error("simple_one_for_one"),
        Refusal::Invalid(problem) => invalid(why(problem)),
        Refusal::Ended => error("noproc"),
        other => error(&format!("{other:?}")),
    }
}

pub(crate) fn kind_word(kind: ChildKind) -> &'static str {
    match kind {
        ChildKind::Worker => "worker",
        ChildKind::Supervisor => "supervisor",
    }
}

pub(crate) fn counts(counts: &Counts) -> Value {
    let Counts { specs, active, supervisors, workers, .. } = counts;
    json!({ "specs": specs, "active": active, "supervisors": supervisors, "workers": workers })
}

/// The answer to `get_childspec`.
pub(crate) fn spec(rules: &ChildRules) -> Value {
    let shutdown = match rules.shutdown {
        Shutdown::Kill => json!("brutal_kill"),
        Shutdown::Wait => json!("infinity"),
        Shutdown::Within(limit) => json!(u64::try_from(limit.as_millis()).expect("a short time")),
    };
    json!({ "ok": {
        "restart": rules.restart.to_string(),
        "shutdown": shutdown,
        "significant": rules.significant,
        "type": kind_word(rules.kind),
    } })
}

/// The name of a child within its supervisor.
pub(crate) fn child_id(name: &str) -> ChildId {
    // Only keys may hold what a name of ours may not.
    ChildId::new(&name.replace('/', ":")).expect("the format's ids are names")
}

/// The rules of a supervisor, or why there can be no such supervisor.
pub(crate) fn rules(node: &Node) -> Result<Rules, &'static str> {
    let strategy = match node.strategy.as_str() {
        "one_for_one" | "simple_one_for_one" => Strategy::OneForOne,
        "one_for_all" => Strategy::OneForAll,
        "rest_for_one" => Strategy::RestForOne,
        _ => return Err("invalid_strategy"),
    };
    let auto_shutdown = match node.auto_shutdown.as_str() {
        "" | "never" => AutoShutdown::Never,
        "any_significant" => AutoShutdown::AnySignificant,
        "all_significant" => AutoShutdown::AllSignificant,
        _ => return Err("invalid_auto_shutdown"),
    };
    let max = u32::try_from(node.intensity).map_err(|_| "invalid_intensity")?;
    let period = u64::try_from(node.period_s).ok().filter(|period| *period > 0).ok_or("invalid_period")?;
    let intensity = Intensity::at_most(max).within(Duration::from_secs(period));
    Ok(Rules::new(strategy).intensity(intensity).auto_shutdown(auto_shutdown))
}

/// The rules of a child, or why there can be no such child.
pub(crate) fn child_rules(node: &Node) -> Result<ChildRules, &'static str> {
    let rules = match node.kind.as_str() {
        "worker" => ChildRules::worker(),
        "supervisor" => ChildRules::supervisor(),
        _ => return Err("invalid_type"),
    };
    let restart = match node.restart.as_str() {
        "permanent" => Restart::Permanent,
        "transient" => Restart::Transient,
        "temporary" => Restart::Temporary,
        _ => return Err("invalid_restart"),
    };
    let shutdown = match (node.shutdown.as_str(), node.shutdown.as_u64()) {
        (Some("brutal_kill"), _) => Shutdown::Kill,
        (Some("infinity"), _) => Shutdown::Wait,
        (_, Some(ms)) => Shutdown::Within(Duration::from_millis(ms)),
        _ => return Err("invalid_shutdown"),
    };
    let rules = rules.restart(restart).shutdown(shutdown);
    Ok(if node.significant { rules.significant() } else { rules })
}

/// The children of a supervisor with their rules.
pub(crate) fn children(node: &Node) -> Result<Vec<(ChildId, ChildRules)>, &'static str> {
    node.children.iter().map(|child| Ok((child_id(&child.id), child_rules(child)?))).collect()
}

/// Checks a whole specification before anything of it starts (rule 9).
pub(crate) fn check(node: &Node) -> Result<(), &'static str> {
    child_rules(node)?;
    if !node.is_supervisor() {
        return Ok(());
    }
    let (rules, children) = (rules(node)?, children(node)?);
    rules.check().map_err(|problem| why(&problem))?;
    check_children(&rules, children.iter().map(|(id, child)| (id, child))).map_err(|problem| why(&problem))?;
    if node.is_dynamic() && children.len() != 1 {
        return Err("simple_needs_one_template");
    }
    node.children.iter().try_for_each(check)
}
