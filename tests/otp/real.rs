//! Replays a scenario on real supervisor trees: workers that follow their scripts, and requests through the public API.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use serde_json::{Value, json};
use steadfast::supervision::Mutation;
use steadfast::testing::{exit_supervisor, is_settled, resume, suspend};
use steadfast::{ChildError, ChildInfo, ChildState, StartError, StartedChild, System};

use super::format::{Exit, Expect, Op, Scenario, Step};
use super::stage::{self, Instance, Order, Place, Stage, Worker};

/// How many looks, a millisecond apart, it may take until a tree has come to rest.
const MOST_LOOKS: u32 = 60_000;
/// The same for a mutated one, which may never: longer than any stop in a scenario may take.
const MOST_LOOKS_MUTATED: u32 = 7_000;
/// More than the longest scenario writes in all. A mutated tree that writes more restarts for ever, and as somebody can
/// always run meanwhile, paused time stands still: no time limit would end it.
const MOST_EVENTS_MUTATED: usize = 1_000;

/// How often the others are let run before time passes.
const YIELDS: u32 = 200;

/// Replays a scenario, or what can be replayed of it when a mutated tree goes wild.
pub(crate) async fn run(scenario: Scenario, mutation: Option<Mutation>) -> Expect {
    let stage = Arc::new(Stage::default());
    let most = if mutation.is_some() { MOST_EVENTS_MUTATED } else { usize::MAX };
    tokio::select! {
        biased;
        () = stage.writes_more_than(most) => {
            Expect { steps: Vec::new(), end: json!("it restarts for ever"), stop: Vec::new() }
        }
        seen = replay(scenario, mutation, &stage) => seen,
    }
}

async fn replay(scenario: Scenario, mutation: Option<Mutation>, stage: &Arc<Stage>) -> Expect {
    let (first, system) = begin(&scenario, mutation, stage).await;
    let Some(system) = system else {
        let mut steps = vec![Step { result: first, events: stage.take() }];
        for op in scenario.ops {
            let result = match op {
                Op::Exit(_) => json!("not_running"),
                Op::Wait { .. } | Op::Release { .. } => json!("ok"),
                _ => noproc(),
            };
            steps.push(Step { result, events: Vec::new() });
        }
        return Expect { steps, end: json!({}), stop: Vec::new() };
    };
    let driver = Driver { system, stage: Arc::clone(stage), mutation };
    driver.replay(first, scenario.ops).await
}

async fn limited(answer: impl Future<Output = Value>) -> Value {
    tokio::time::timeout(Duration::from_mins(1), answer).await.unwrap_or_else(|_| json!("no answer"))
}

async fn begin(scenario: &Scenario, mutation: Option<Mutation>, stage: &Arc<Stage>) -> (Value, Option<System>) {
    let place = Place { stage: Arc::clone(stage), above: None, prefix: None, mutation };
    let root = match stage::supervisor(&place, &scenario.tree) {
        Ok(root) => root,
        Err(why) => return (invalid(why), None),
    };
    let told = Arc::clone(stage);
    let builder = System::builder().on_end(move |end| told.ended(end));
    match builder.start(root).await {
        Ok(system) => (json!({"ok": [scenario.tree.id, 1]}), Some(system)),
        Err(StartError::Ignored) => (json!({"ok": null}), None),
        Err(StartError::Spec(error)) => (invalid_spec(&error), None),
        Err(StartError::Child { path, .. }) => {
            let path: Vec<_> = path.as_str().split('/').skip(1).collect();
            (json!({"error": "failed_to_start", "path": path}), None)
        }
        Err(other) => (json!({"error": other.to_string()}), None),
    }
}

#[derive(Clone)]
struct Driver {
    system: System,
    stage: Arc<Stage>,
    mutation: Option<Mutation>,
}

type Answer = Pin<Box<dyn Future<Output = Value> + Send>>;

impl Driver {
    /// Carries out the steps one after another, then looks at what is left, and stops it.
    async fn replay(&self, first: Value, ops: Vec<Op>) -> Expect {
        let (mut steps, mut late) = (Vec::new(), Vec::new());
        self.settle().await;
        steps.push(Step { result: first, events: self.stage.take() });
        for op in ops {
            let result = if let Op::Async { call } = op {
                late.push((steps.len(), self.call_without_waiting(*call).await));
                Value::Null
            } else {
                self.call(op).await
            };
            self.settle().await;
            steps.push(Step { result, events: self.stage.take() });
        }
        for (step, answer) in late {
            steps[step].result = limited(answer).await;
        }
        let end = limited(self.finish()).await;
        self.settle().await;
        self.stage.take();
        let shutdown = tokio::time::timeout(Duration::from_mins(1), self.system.shutdown()).await;
        let mut stop = self.stage.take();
        if shutdown.is_err() {
            stop.push(json!("it did not shut down"));
        }
        stop.extend(self.system.alive().iter().map(|path| json!(["alive", path.to_string()])));
        Expect { steps, end, stop }
    }

    /// Where the children of the supervisor at this path stand.
    fn below(&self, path: &str) -> Place {
        let prefix = self.stage.prefix_of(path);
        Place { stage: Arc::clone(&self.stage), above: Some(path.to_owned()), prefix, mutation: self.mutation }
    }

    fn is_settled(&self) -> bool {
        is_settled(&self.system, |path| self.stage.holds(path.as_str()))
    }

    async fn settle(&self) {
        let most = if self.mutation.is_some() { MOST_LOOKS_MUTATED } else { MOST_LOOKS };
        for _ in 0..most {
            if self.is_settled() {
                return;
            }
            // Not what it is read from: it only lets the others run, and, when nobody can any more, time pass.
            for _ in 0..YIELDS {
                tokio::task::yield_now().await;
                if self.is_settled() {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.stage.write(json!("it does not come to rest"));
    }

    fn path(&self, id: &str) -> Option<(String, bool)> {
        self.stage.places().get(id).cloned()
    }

    fn is_running(&self, path: &str) -> bool {
        self.system.incarnation(path).is_some()
    }

    /// Puts a request in line and does not wait for its answer.
    async fn call_without_waiting(&self, op: Op) -> Answer {
        let driver = self.clone();
        let mut answer: Answer = Box::pin(async move { driver.call(op).await });
        // The first poll sends it; who waits for the answer polls on.
        let now = poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx))).await;
        match now {
            Poll::Ready(value) => Box::pin(async move { value }),
            Poll::Pending => answer,
        }
    }

    async fn call(&self, op: Op) -> Value {
        match op {
            Op::Exit(exit) => self.exit(&exit),
            Op::Wait { ms } => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                json!("ok")
            }
            Op::Burst { sup, exits } => self.burst(&sup, &exits).await,
            Op::Release { id } => {
                self.stage.release(&id);
                json!("ok")
            }
            Op::Async { .. } => json!("an async in an async"),
            Op::StartChild { ref sup, .. }
            | Op::TerminateChild { ref sup, .. }
            | Op::RestartChild { ref sup, .. }
            | Op::DeleteChild { ref sup, .. }
            | Op::WhichChildren { ref sup }
            | Op::CountChildren { ref sup }
            | Op::GetChildSpec { ref sup, .. }
            | Op::Update { ref sup, .. } => {
                let Some((path, _)) = self.path(sup) else { return noproc() };
                if !self.is_running(&path) {
                    return noproc();
                }
                match self.request(&path, op).await {
                    Ok(value) => value,
                    Err(error) => self.refused(&path, &error),
                }
            }
        }
    }

    fn exit(&self, exit: &Exit) -> Value {
        let Some((path, is_supervisor)) = self.path(&exit.id) else { return json!("not_running") };
        if !self.is_running(&path) {
            return json!("not_running");
        }
        let done = match (exit.reason.as_str(), is_supervisor) {
            ("kill", _) => self.system.kill(&path).map_err(|error| error.to_string()),
            (reason, true) => {
                exit_supervisor(&self.system, &path, stage::reason(reason)).map_err(|error| error.to_string())
            }
            (reason, false) => {
                let worker = self.system.agent::<Worker>(&path).map_err(|error| error.to_string());
                worker.and_then(|worker| worker.tell(Order(reason.to_owned())).map_err(|error| error.to_string()))
            }
        };
        done.map_or_else(|error| json!(error), |()| json!("ok"))
    }

    async fn burst(&self, sup: &str, exits: &[Exit]) -> Value {
        let Some((path, _)) = self.path(sup).filter(|(path, _)| self.is_running(path)) else { return noproc() };
        if suspend(&self.system, &path).is_err() {
            return noproc();
        }
        self.settle().await;
        for exit in exits {
            self.exit(exit);
            self.settle().await;
        }
        resume(&self.system, &path).map_or_else(|error| json!(error.to_string()), |()| json!("ok"))
    }

    async fn request(&self, path: &str, op: Op) -> Result<Value, ChildError> {
        let gone = |_| ChildError::Gone { supervisor: path.parse().expect("a path") };
        let supervisor = self.system.supervisor(path).map_err(gone)?;
        match op {
            Op::StartChild { key: Some(key), start, on_shutdown, .. } => {
                let pool = self.system.dynamic_supervisor::<Instance>(path).map_err(gone)?;
                let instance = Instance { key: key.clone(), start, on_shutdown };
                Ok(self.started(&pool.start_named(&key, instance).await?, &key))
            }
            Op::StartChild { child, .. } => {
                let child = child.expect("a child or a key");
                let known = self.path(&child.id);
                let spec = match stage::child(&self.below(path), &child) {
                    Ok(spec) => spec,
                    Err(why) => return Ok(invalid(why)),
                };
                let started = supervisor.start_child(spec).await;
                if let (Err(_), Some(known)) = (&started, known) {
                    self.stage.places().insert(child.id.clone(), known);
                }
                Ok(self.started(&started?, &child.id))
            }
            Op::TerminateChild { id, by: Some(_), .. } => match self.system.dynamic_supervisor::<Instance>(path) {
                Ok(pool) => {
                    let (instance, _) = self.path(&id).unwrap_or_default();
                    pool.terminate_child(&instance).await.map(|()| json!("ok"))
                }
                // A key is no name here, whatever it reads like.
                Err(_) => Err(ChildError::NotFound { path: path.parse().expect("a path") }),
            },
            Op::TerminateChild { id, .. } => supervisor.terminate_child(&id).await.map(|()| json!("ok")),
            Op::RestartChild { id, .. } => Ok(self.started(&supervisor.restart_child(&id).await?, &id)),
            Op::DeleteChild { id, .. } => supervisor.delete_child(&id).await.map(|()| json!("ok")),
            Op::WhichChildren { .. } => Ok(self.rows(path, &supervisor.which_children().await?)),
            Op::CountChildren { .. } => {
                let counts = supervisor.count_children().await?;
                let (supervisors, workers) = (counts.supervisors, counts.workers);
                let (specs, active) = (counts.specs, counts.active);
                Ok(json!({"specs": specs, "active": active, "supervisors": supervisors, "workers": workers}))
            }
            Op::GetChildSpec { id, by, .. } => self.spec(path, id, by.is_some()).await,
            Op::Update { spec, .. } => {
                // Its path is this one, whatever it is called in the new spec.
                let above = path.rsplit_once('/').map(|(above, _)| above.to_owned());
                let place = Place { above, ..self.below(path) };
                match stage::supervisor(&place, &spec) {
                    Ok(spec) => supervisor.update(spec).await.map(|()| json!("ok")),
                    Err(why) => Ok(invalid(why)),
                }
            }
            _ => Ok(json!("not a request")),
        }
    }

    async fn spec(&self, path: &str, id: String, by_key: bool) -> Result<Value, ChildError> {
        let supervisor = self.system.supervisor(path).expect("it was found");
        let is_pool = self.system.dynamic_supervisor::<Instance>(path).is_ok();
        let rules = if by_key && is_pool {
            let (instance, _) = self.path(&id).unwrap_or_default();
            let is_foreign = !instance.starts_with(&format!("{path}/")) && self.is_running(&instance);
            let name = if is_foreign { id } else { self.stage.template_of(path) };
            supervisor.child_spec(&name).await?
        } else if by_key {
            return Err(ChildError::NotFound { path: path.parse().expect("a path") });
        } else {
            supervisor.child_spec(&id).await?
        };
        let shutdown = stage::shutdown_as_written(rules.shutdown);
        let (restart, kind) = (rules.restart.to_string(), rules.kind.to_string());
        Ok(json!({"ok": {"restart": restart, "shutdown": shutdown, "significant": rules.significant, "type": kind}}))
    }

    /// A refusal; what did not start below an instance is named by its key.
    fn refused(&self, path: &str, error: &ChildError) -> Value {
        let failed = match error {
            ChildError::FailedToStart { path, .. } => path.as_str(),
            _ => path,
        };
        refused(self.stage.prefix_of(failed).as_deref(), error)
    }

    fn started(&self, child: &StartedChild, id: &str) -> Value {
        match child.incarnation {
            None => json!({"ok": null}),
            Some(incarnation) => {
                let attempt = self.stage.attempt_of(child.path.as_str(), incarnation.get());
                json!({"ok": [id, attempt]})
            }
        }
    }

    fn rows(&self, path: &str, children: &[ChildInfo]) -> Value {
        let is_pool = self.system.dynamic_supervisor::<Instance>(path).is_ok();
        let prefix = self.stage.prefix_of(path);
        let mut rows: Vec<Value> = children
            .iter()
            .map(|child| {
                let state = match child.state {
                    ChildState::Restarting => "restarting",
                    ChildState::Stopped | ChildState::Quarantined => "stopped",
                    _ => "running",
                };
                let attempt = child.incarnation.filter(|_| state == "running");
                let attempt = attempt.and_then(|life| self.stage.attempt_of(child.path.as_str(), life.get()));
                let name = stage::named(prefix.as_deref(), child.id.as_str());
                let id = (!is_pool || state != "restarting").then_some(name);
                json!({"id": id, "n": attempt, "state": state, "type": child.kind.to_string()})
            })
            .collect();
        if is_pool {
            rows.sort_by_key(|row| row["id"].as_str().map(str::to_owned));
        }
        json!(rows)
    }

    /// Children and counts of every supervisor that is alive.
    async fn finish(&self) -> Value {
        let mut end = BTreeMap::new();
        let places: Vec<_> = self.stage.places().clone().into_iter().collect();
        for (id, (path, is_supervisor)) in places {
            if !is_supervisor || !self.is_running(&path) {
                continue;
            }
            let children = self.call(Op::WhichChildren { sup: id.clone() }).await;
            let counts = self.call(Op::CountChildren { sup: id.clone() }).await;
            end.insert(id, json!({"children": children, "counts": counts}));
        }
        json!(end)
    }
}

fn noproc() -> Value {
    json!({"error": "noproc"})
}

fn invalid(why: &str) -> Value {
    json!({"error": "invalid_spec", "why": why})
}

fn refused(prefix: Option<&str>, error: &ChildError) -> Value {
    let word = match error {
        ChildError::AlreadyStarted { .. } => "already_started",
        ChildError::AlreadyPresent { .. } => "already_present",
        ChildError::NotFound { .. } => "not_found",
        ChildError::Running { .. } => "running",
        ChildError::Restarting { .. } => "restarting",
        ChildError::Dynamic { .. } => "simple_one_for_one",
        ChildError::Gone { .. } => "noproc",
        ChildError::FailedToStart { reason, .. } => {
            return json!({"error": "failed_to_start", "path": stage::culprits(prefix, reason)});
        }
        ChildError::Spec(error) => return invalid_spec(error),
        other => return json!({"error": other.to_string()}),
    };
    json!({"error": word})
}

fn invalid_spec(error: &steadfast::SpecError) -> Value {
    use steadfast::SpecError;
    use steadfast::supervision::SpecProblem;
    match error {
        SpecError::DuplicateChild { child, .. } => json!({"error": "invalid_spec", "id": child, "why": "duplicate_id"}),
        SpecError::Rules { problem, .. } => invalid(match problem {
            SpecProblem::PeriodZero => "invalid_period",
            SpecProblem::SignificantButNever { .. } => "significant_but_never",
            SpecProblem::SignificantPermanent { .. } => "significant_permanent",
            SpecProblem::TemplateOnly | SpecProblem::OtherKind => "simple_needs_one_template",
            SpecProblem::DuplicateId { .. } => "duplicate_id",
            _ => "another",
        }),
        _ => invalid("another"),
    }
}
