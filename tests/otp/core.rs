//! Replays a scenario through the pure core alone: one machine for each supervisor, children that do what their
//! scripts say, and a clock that moves only when nothing else can happen.

mod world;

use std::time::Duration;

use serde_json::{Value, json};

use steadfast::supervision::{ChildRules, Event, Mutation, Request, RequestId};
use steadfast::{ChildId, ExitReason};

use super::format::{Exit, Expect, Node, Op, Scenario, Step};
use super::words;
use world::{ActorId, World};

/// Replays a scenario. With a mutation, every supervisor in it breaks that rule.
pub(crate) fn run(scenario: &Scenario, mutation: Option<Mutation>) -> Expect {
    let mut driver = Driver { world: World::new(mutation), requests: 0, pending: Vec::new() };
    let mut steps = vec![driver.start(&scenario.tree)];
    for (number, op) in scenario.ops.iter().enumerate() {
        let result = driver.perform(op, number + 1);
        steps.push(Step { result, events: driver.world.take_events() });
    }
    let end = driver.look();
    let stop = driver.stop();
    for (number, request) in std::mem::take(&mut driver.pending) {
        steps[number].result = driver.world.take_answer(request).unwrap_or(Value::Null);
    }
    Expect { steps, end, stop }
}

struct Driver {
    world: World,
    requests: u64,
    /// Which steps wait for which answers. All are filled in at the end, so that late ones need no care.
    pending: Vec<(usize, RequestId)>,
}

impl Driver {
    fn start(&mut self, tree: &Node) -> Step {
        if let Err(why) = words::check(tree) {
            return Step { result: words::invalid(why), events: Vec::new() };
        }
        self.world.start_root(tree);
        self.world.settle();
        Step { result: self.world.outcome(), events: self.world.take_events() }
    }

    /// Does one thing, settles, and returns the result unless that is an answer that comes later.
    fn perform(&mut self, op: &Op, step: usize) -> Value {
        let result = match op {
            Op::Exit(exit) => self.exit(exit),
            Op::Wait { ms } => {
                self.world.pass(Duration::from_millis(*ms));
                json!("ok")
            }
            Op::Burst { sup, exits } => self.burst(sup, exits),
            Op::Async { call } => return self.perform(call, step),
            Op::Release { id } => {
                self.world.release(id);
                json!("ok")
            }
            Op::StartChild { sup, .. }
            | Op::TerminateChild { sup, .. }
            | Op::RestartChild { sup, .. }
            | Op::DeleteChild { sup, .. }
            | Op::WhichChildren { sup }
            | Op::CountChildren { sup }
            | Op::GetChildSpec { sup, .. }
            | Op::Update { sup, .. } => match self.world.supervisor(sup) {
                None => words::error("noproc"),
                Some(supervisor) => match self.request(supervisor, op) {
                    Err(answer) => answer,
                    Ok(request) => {
                        let request = self.ask(supervisor, request, op);
                        self.pending.push((step, request));
                        Value::Null
                    }
                },
            },
        };
        self.world.settle();
        result
    }

    fn exit(&mut self, exit: &Exit) -> Value {
        json!(if self.world.exit(&exit.id, &exit.reason) { "ok" } else { "not_running" })
    }

    fn burst(&mut self, sup: &str, exits: &[Exit]) -> Value {
        let Some(supervisor) = self.world.supervisor(sup) else { return words::error("noproc") };
        self.world.tell(supervisor, Event::Suspend);
        for exit in exits {
            self.exit(exit);
            self.world.settle();
        }
        self.world.tell(supervisor, Event::Resume);
        json!("ok")
    }

    fn ask(&mut self, supervisor: ActorId, what: Request, op: &Op) -> RequestId {
        self.requests += 1;
        let request = RequestId(self.requests);
        self.world.ask(supervisor, request, what, op);
        request
    }

    /// What is asked of the machine, or what is answered without asking it.
    fn request(&self, supervisor: ActorId, op: &Op) -> Result<Request, Value> {
        let is_dynamic = self.world.is_dynamic(supervisor);
        let local = |id: &str| self.world.local(supervisor, id);
        Ok(match op {
            Op::StartChild { child: Some(child), .. } if !is_dynamic => {
                words::check(child).map_err(words::invalid)?;
                let rules = words::child_rules(child).map_err(words::invalid)?;
                Request::StartChild { id: Some(words::child_id(&child.id)), rules }
            }
            Op::StartChild { key: Some(key), .. } if is_dynamic => {
                Request::StartChild { id: Some(words::child_id(key)), rules: ChildRules::worker() }
            }
            Op::StartChild { .. } => return Err(words::invalid("other_kind")),
            Op::TerminateChild { id, by: Some(_), .. } => self.by_key(supervisor, id, Request::TerminateInstance)?,
            Op::TerminateChild { id, .. } => Request::TerminateChild(local(id)),
            Op::RestartChild { id, .. } => Request::RestartChild(local(id)),
            Op::DeleteChild { id, .. } => Request::DeleteChild(local(id)),
            Op::WhichChildren { .. } => Request::WhichChildren,
            Op::CountChildren { .. } => Request::CountChildren,
            Op::GetChildSpec { id, by: Some(_), .. } => {
                // Any instance has the spec of the template, and so has one that is gone.
                let template = self.world.template_id(supervisor).ok_or_else(|| words::error("not_found"))?;
                self.by_key(supervisor, id, |_| Request::ChildSpec(template))?
            }
            Op::GetChildSpec { id, .. } => match self.world.template_id(supervisor) {
                // Instances have no ids.
                Some(template) if template != local(id) => return Err(words::error("not_found")),
                _ => Request::ChildSpec(local(id)),
            },
            Op::Update { spec, .. } => {
                // What the machine can check is left to it.
                spec.children.iter().try_for_each(words::check).map_err(words::invalid)?;
                if spec.is_dynamic() != is_dynamic {
                    return Err(words::invalid("other_kind"));
                }
                let rules = words::rules(spec).map_err(words::invalid)?;
                Request::Update { rules, children: words::children(spec).map_err(words::invalid)?, max: None }
            }
            _ => unreachable!("no request"),
        })
    }

    /// A request that addresses an instance by its handle: its own, also a dead one, but no foreign living one.
    fn by_key(
        &self,
        supervisor: ActorId,
        key: &str,
        request: impl FnOnce(ChildId) -> Request,
    ) -> Result<Request, Value> {
        let is_foreign = self.world.is_alive_elsewhere(supervisor, key) || !self.world.was_started(key);
        if is_foreign || !self.world.is_dynamic(supervisor) {
            return Err(words::error("not_found"));
        }
        Ok(request(words::child_id(key)))
    }

    /// What all supervisors that live say of their children.
    fn look(&mut self) -> Value {
        let mut end = serde_json::Map::new();
        for (name, supervisor) in self.world.supervisors() {
            let mut ask = |what, op: Op| {
                let request = self.ask(supervisor, what, &op);
                self.world.settle();
                self.world.take_answer(request).unwrap_or(Value::Null)
            };
            let children = ask(Request::WhichChildren, Op::WhichChildren { sup: name.clone() });
            let counts = ask(Request::CountChildren, Op::CountChildren { sup: name.clone() });
            end.insert(name, json!({ "children": children, "counts": counts }));
        }
        Value::Object(end)
    }

    fn stop(&mut self) -> Vec<Value> {
        self.world.take_events();
        if let Some(root) = self.world.root() {
            self.world.tell(root, Event::Stop { reason: ExitReason::SHUTDOWN });
        }
        self.world.settle();
        let mut events = self.world.take_events();
        events.extend(self.world.alive().map(|name| json!(["still alive", name])));
        events
    }
}
