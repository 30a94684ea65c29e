//! What a task refers to: from the cache first, then from its source, which fills the cache.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::Duration;

use serde_json::Value;

use super::begin;
use crate::agents::desk::Workshop;
use crate::agents::protocol::{Attempt, ContextReply, ContextRequest, Part, Wanted};
use crate::cache::Source;
use crate::goal::fields::{ItemsError, Stage, templates};
use crate::goal::model::FailureClass;
use crate::goal::model::{DEFAULT_TIMEOUT, Task};
use crate::goal::span::Span;
use crate::goal::template::{Root, Scope, TemplateError, references};
use crate::goal::work as kind;
use crate::run::Lookups;
use crate::work::{Failure, Outcome, Work, WorkSpec};

/// How long a result stays in the cache. It never changes once it is recorded; this only bounds how long it is kept.
const KEPT: Duration = Duration::from_hours(1);

/// From how many bytes on what a task refers to is not at hand.
const AT_HAND: usize = 16 * 1024;

/// The tasks whose results a task refers to in its inputs, its work, and its condition.
pub(crate) fn results_of_work(task: &Task) -> BTreeSet<String> {
    results(task, |pointer, stage| match stage {
        Stage::Start => pointer.starts_with("/when"),
        Stage::Inputs | Stage::Work => true,
        Stage::Undo => false,
    })
}

/// The tasks whose results the undo of a task refers to.
pub(crate) fn results_of_undo(task: &Task) -> BTreeSet<String> {
    results(task, |_, stage| matches!(stage, Stage::Inputs | Stage::Undo))
}

/// The tasks whose results a task refers to in its condition and its list.
pub(crate) fn results_of_list(task: &Task) -> BTreeSet<String> {
    results(task, |_, stage| stage == Stage::Start)
}

fn results(task: &Task, wanted: impl Fn(&str, Stage) -> bool) -> BTreeSet<String> {
    let templates = templates(task).into_iter().filter(|template| wanted(&template.pointer, template.stage));
    // A plan holds no template that cannot be read.
    let references = templates.flat_map(|template| references(&Value::String(template.text)).unwrap_or_default());
    references
        .filter_map(|reference| match reference.root {
            Root::Result(id) => Some(id),
            _ => None,
        })
        .collect()
}

/// The work of an attempt, where everything that it refers to is at hand and small: nobody needs to be asked for it.
///
/// Nothing where the retriever is to be asked: also where a template is refused, of which it makes a failure.
pub(crate) fn at_hand(request: &ContextRequest) -> Option<(Work, Lookups)> {
    let waits = request.task.work().is_some_and(|work| work.kind().capability().is_none());
    let item = match &request.wanted {
        Wanted::Work => None,
        Wanted::ItemWork(item) => Some(item),
        Wanted::Items | Wanted::Begun { .. } | Wanted::Undo { .. } => return None,
    };
    let mut room = AT_HAND;
    let results = request.results.values().map(|result| &**result);
    if waits || !request.params.values().chain(item).chain(results).all(|value| fits(value, &mut room)) {
        return None;
    }
    let results: BTreeMap<_, _> =
        request.results.iter().map(|(id, result)| (id.clone(), Value::clone(result))).collect();
    let lookups = Lookups { hits: 0, misses: results.len() as u64 };
    match work(request, &Scope::new(&request.params, &results), lookups) {
        Ok(ContextReply::Work { work, lookups }) => Some((*work, lookups)),
        _ => None,
    }
}

/// Takes a value out of the room there is for values, if it fits; a value without a text takes as much as one byte.
fn fits(value: &Value, room: &mut usize) -> bool {
    let mut take = |bytes: usize| room.checked_sub(bytes + 1).map(|left| *room = left).is_some();
    match value {
        Value::String(text) => take(text.len()),
        Value::Array(items) => take(0) && items.iter().all(|item| fits(item, room)),
        Value::Object(map) => {
            let keys = map.keys().map(|key| key.len() + 1).sum();
            take(keys) && map.values().all(|value| fits(value, room))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => take(0),
    }
}

/// Answers a request.
pub(super) async fn find(request: ContextRequest, shop: &Workshop) -> ContextReply {
    let mut results = BTreeMap::new();
    let mut lookups = Lookups::default();
    for (id, source) in &request.results {
        let key = format!("{}/{id}", request.attempt.run);
        let fill = async { Ok::<_, Infallible>(Value::clone(source)) };
        let Ok((value, from)) = shop.cache.get_or_fill(&key, KEPT, fill).await;
        match from {
            Source::Hit | Source::Shared => lookups.hits += 1,
            Source::Miss => lookups.misses += 1,
        }
        results.insert(id.clone(), Value::clone(&value));
    }
    let scope = Scope::new(&request.params, &results);
    let waits = request.task.work().is_some_and(|work| work.kind().capability().is_none());
    let found = match &request.wanted {
        Wanted::Items => items(&request, &scope, shop).await,
        Wanted::Work | Wanted::ItemWork(_) if waits => begin(&request, &scope, shop).await,
        Wanted::Begun { item } => begun(&request, &scope, item.as_ref()),
        Wanted::Work | Wanted::ItemWork(_) | Wanted::Undo { .. } => work(&request, &scope, lookups),
    };
    found.unwrap_or_else(|failure| {
        let redactor = shop.room(request.attempt.run).map(|room| room.redactor).unwrap_or_default();
        ContextReply::Impossible(Failure { message: redactor.text(&failure.message).into_owned(), ..failure })
    })
}

fn work(request: &ContextRequest, scope: &Scope<'_>, lookups: Lookups) -> Result<ContextReply, Failure> {
    let (scope, when) = match (&request.wanted, request.attempt.task.index()) {
        // The condition of a task with `for_each` was asked before its list.
        (Wanted::ItemWork(item), Some(index)) => (scope.item(index as usize, item), None),
        (Wanted::Undo { result, item: Some(item) }, Some(index)) => {
            (scope.item(index as usize, item).result(result), None)
        }
        (Wanted::Undo { result, .. }, _) => (scope.result(result), None),
        _ => (*scope, request.task.resolved_when(scope).map_err(|error| unresolved(&error))?),
    };
    let undo = match request.wanted {
        Wanted::Undo { .. } => {
            let none = || Failure::new(FailureClass::Invalid, "the task has no undo");
            Some(request.task.undo_task().ok_or_else(none)?)
        }
        _ => None,
    };
    let task = undo.as_ref().unwrap_or(&request.task);
    let task = task.resolved(&scope).map_err(|error| unresolved(&error))?;
    let spec = match task.work() {
        Some(kind::Work::Command(command)) => WorkSpec::Command(command.clone()),
        Some(kind::Work::Retrieve(retrieve)) => WorkSpec::Retrieve(retrieve.clone()),
        Some(kind::Work::Check(check)) => WorkSpec::Check(check.clone()),
        Some(kind::Work::Collect(value)) => WorkSpec::Collect(value.clone()),
        _ => return Err(Failure::new(FailureClass::Invalid, "the task has no kind that an agent carries out")),
    };
    let work = Work {
        run: request.attempt.run.to_string(),
        attempt: request.attempt.number,
        key: idempotency_key(request),
        result: task.result,
        when,
        timeout: task.timeout.unwrap_or(DEFAULT_TIMEOUT).duration(),
        ..Work::new(request.attempt.task.to_string(), spec)
    };
    Ok(ContextReply::Work { work: Box::new(work), lookups })
}

/// The same for every attempt of the task in this run, and for no other task; its undo has one of its own.
fn idempotency_key(request: &ContextRequest) -> String {
    let Attempt { run, task, part, .. } = &request.attempt;
    match part {
        Part::Task => format!("{run}:{task}"),
        Part::Undo => format!("{run}:{task}/undo"),
    }
}

/// What a task that the run itself carries out begins with, if it is to be carried out at all.
async fn begin(request: &ContextRequest, scope: &Scope<'_>, shop: &Workshop) -> Result<ContextReply, Failure> {
    let begin = match (&request.wanted, request.attempt.task.index()) {
        (Wanted::ItemWork(item), Some(index)) => begin::begin(&request.task, &scope.item(index as usize, item)),
        _ => match reason_to_skip(request, scope, shop).await? {
            Some(reason) => return Ok(ContextReply::Skip(reason)),
            None => begin::begin(&request.task, scope),
        },
    };
    Ok(ContextReply::Begin(Box::new(begin?)))
}

/// What a task began with.
fn begun(request: &ContextRequest, scope: &Scope<'_>, item: Option<&Value>) -> Result<ContextReply, Failure> {
    let scope = match (item, request.attempt.task.index()) {
        (Some(item), Some(index)) => scope.item(index as usize, item),
        _ => *scope,
    };
    begin::begin(&request.task, &scope).map(|begin| ContextReply::Begin(Box::new(begin)))
}

/// Why the task's condition does not hold, where it does not.
async fn reason_to_skip(
    request: &ContextRequest,
    scope: &Scope<'_>,
    shop: &Workshop,
) -> Result<Option<String>, Failure> {
    let work = Work {
        when: request.task.resolved_when(scope).map_err(|error| unresolved(&error))?,
        timeout: Span::from_secs(60).duration(),
        ..Work::new(request.attempt.task.to_string(), WorkSpec::Collect(Value::Null))
    };
    let quiet: crate::seam::commands::Heartbeat = std::sync::Arc::new(|| {});
    match shop.perform(request.attempt.run, &work, &quiet).await? {
        Outcome::Skipped { reason } => Ok(Some(reason)),
        Outcome::Done { .. } => Ok(None),
    }
}

async fn items(request: &ContextRequest, scope: &Scope<'_>, shop: &Workshop) -> Result<ContextReply, Failure> {
    if let Some(reason) = reason_to_skip(request, scope, shop).await? {
        return Ok(ContextReply::Skip(reason));
    }
    let items = request.task.items(scope).map_err(|error| match error {
        ItemsError::Template(error) => unresolved(&error),
        other => Failure::new(FailureClass::Invalid, other.to_string()),
    })?;
    Ok(ContextReply::Items(items.unwrap_or_default()))
}

pub(super) fn unresolved(error: &TemplateError) -> Failure {
    Failure::new(FailureClass::Invalid, error.to_string())
}
