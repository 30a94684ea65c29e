//! Scenarios that nobody wrote down: random trees, and random things that happen to them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use steadfast::supervision::Jitter;

/// Draws scenarios. The same seed draws the same.
pub(crate) struct Draw {
    random: Jitter,
    ids: u32,
    /// Every supervisor with its children, as they were drawn; those that were added too.
    supervisors: Vec<(String, Vec<Value>)>,
    /// The start scripts of supervisors: their parents', which an update does not change.
    starts: BTreeMap<String, Value>,
    pools: Vec<String>,
    /// The workers that wait at a gate in one of their starts.
    gated: Vec<String>,
    keys: u32,
    /// Whether there may be gates.
    gates: bool,
}

impl Draw {
    pub(crate) fn scenario(seed: u64) -> Value {
        let random = Jitter::new(seed);
        let mut draw = Self {
            random,
            ids: 0,
            supervisors: Vec::new(),
            starts: BTreeMap::new(),
            pools: Vec::new(),
            gated: Vec::new(),
            keys: 0,
            gates: seed.is_multiple_of(3),
        };
        let tree = draw.supervisor("root", 0);
        let count = 3 + draw.below(10);
        let mut ops: Vec<_> = (0..count).map(|_| draw.op()).collect();
        // A supervisor that waits at a gate answers nobody: with gates about nobody waits for an answer, and at the end
        // all of them are open.
        if !draw.gated.is_empty() {
            for op in &mut ops {
                let is_request = op["sup"].is_string() && op["op"] != "burst";
                if is_request {
                    *op = json!({"op": "async", "call": op.clone()});
                }
            }
            for _ in 0..2 {
                ops.extend(draw.gated.iter().map(|id| json!({"op": "release", "id": id})));
            }
        }
        json!({"name": format!("random/{seed}"), "tree": tree, "ops": ops})
    }

    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.random.next_u64() % end).unwrap_or_default()
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    fn of<T: Clone>(&mut self, from: &[T]) -> T {
        let at = self.below(from.len());
        from[at].clone()
    }

    fn id(&mut self) -> String {
        self.ids += 1;
        format!("c{}", self.ids)
    }

    /// What a child is to its supervisor, whatever it is itself.
    fn child_rules(&mut self, node: &mut Value, may_be_significant: bool) {
        let significant = may_be_significant && self.one_in(3);
        let kinds: &[&str] = if significant {
            &["transient", "temporary"]
        } else {
            &["permanent", "permanent", "transient", "temporary"]
        };
        node["restart"] = json!(self.of(kinds));
        node["significant"] = json!(significant);
    }

    fn worker(&mut self, id: &str, may_be_significant: bool) -> Value {
        let start = match self.below(8) {
            0 => json!(["ok", "fail", "ok"]),
            1 => json!(["ok", "crash", "crash", "ok"]),
            2 => json!(["ok", "ignore", "ok"]),
            3 if self.one_in(4) => json!(["ignore", "ok"]),
            4 if self.one_in(8) => json!(["fail", "ok"]),
            5 if self.gates => {
                self.gated.push(id.to_owned());
                let gate = self.of(&["gate:ok", "gate:fail"]);
                json!(["ok", gate, "ok"])
            }
            _ => json!(["ok"]),
        };
        let (shutdown, on_shutdown) = match self.below(8) {
            0 => (json!("brutal_kill"), "stop"),
            1 => (json!("infinity"), "delay:30"),
            2 => (json!(60), "ignore"),
            3 => (json!(2000), "exit:crash"),
            4 => (json!(2000), "exit:normal"),
            _ => (json!(5000), "stop"),
        };
        let mut node = json!({"id": id, "type": "worker", "shutdown": shutdown, "start": start,
            "on_shutdown": on_shutdown});
        self.child_rules(&mut node, may_be_significant);
        node
    }

    fn supervisor(&mut self, id: &str, depth: usize) -> Value {
        let auto = if self.one_in(3) { self.of(&["any_significant", "all_significant"]) } else { "never" };
        let is_pool = depth > 0 && self.one_in(4);
        let strategy =
            if is_pool { "simple_one_for_one" } else { self.of(&["one_for_one", "one_for_all", "rest_for_one"]) };
        let children = if is_pool { 1 } else { 1 + self.below(4) };
        let significant = auto != "never";
        let children: Vec<_> = (0..children)
            .map(|_| {
                let id = self.id();
                if depth < 2 && !is_pool && self.one_in(3) {
                    let mut child = self.supervisor(&id, depth + 1);
                    self.child_rules(&mut child, significant);
                    child
                } else {
                    self.worker(&id, significant)
                }
            })
            .collect();
        let start = if depth > 0 && self.one_in(8) { json!(["ok", "fail", "ok"]) } else { json!(["ok"]) };
        self.starts.insert(id.to_owned(), start.clone());
        if is_pool {
            self.pools.push(id.to_owned());
        } else {
            self.supervisors.push((id.to_owned(), children.clone()));
        }
        json!({"id": id, "type": "supervisor", "restart": "permanent", "shutdown": "infinity", "significant": false,
            "start": start, "strategy": strategy, "intensity": self.below(5), "period_s": 1 + self.below(10),
            "auto_shutdown": auto, "children": children})
    }

    fn op(&mut self) -> Value {
        if !self.pools.is_empty() && self.one_in(4) {
            return self.pool_op();
        }
        let at = self.below(self.supervisors.len());
        let (sup, children) = self.supervisors[at].clone();
        let id = self.of(&children)["id"].clone();
        match self.below(13) {
            12 if !self.gated.is_empty() => {
                let gated = self.gated.clone();
                json!({"op": "release", "id": self.of(&gated)})
            }
            0 => json!({"op": "wait", "ms": 100 * (1 + self.below(40))}),
            1 => json!({"op": "terminate_child", "sup": sup, "id": id}),
            2 => json!({"op": "restart_child", "sup": sup, "id": id}),
            3 => json!({"op": "delete_child", "sup": sup, "id": id}),
            4 => json!({"op": "which_children", "sup": sup}),
            5 => json!({"op": "count_children", "sup": sup}),
            6 => self.start_child(at),
            7 => {
                let mut exits = children;
                let first = self.below(exits.len());
                exits.rotate_left(first);
                exits.truncate(1 + self.below(3));
                let exits: Vec<_> = exits.iter().map(|child| self.exit(&child["id"])).collect();
                json!({"op": "burst", "sup": sup, "exits": exits})
            }
            8 if self.one_in(2) => self.update(at),
            _ => {
                let mut exit = self.exit(&id);
                exit["op"] = json!("exit");
                exit
            }
        }
    }

    fn exit(&mut self, id: &Value) -> Value {
        let reason = self.of(&["normal", "shutdown", "shutdown:x", "crash", "crash", "crash", "kill"]);
        json!({"id": id, "reason": reason})
    }

    /// A new child, or one of a name that is known there.
    fn start_child(&mut self, at: usize) -> Value {
        let sup = self.supervisors[at].0.clone();
        let known = self.one_in(3);
        let child = if known {
            let children = self.supervisors[at].1.clone();
            self.of(&children)
        } else {
            let id = self.id();
            self.worker(&id, false)
        };
        if !known {
            self.supervisors[at].1.push(child.clone());
        }
        json!({"op": "start_child", "sup": sup, "child": child})
    }

    /// Other limits; the children in another order, one of them missing, a new one.
    fn update(&mut self, at: usize) -> Value {
        let (sup, mut children) = self.supervisors[at].clone();
        children.retain(|child| child["type"] == "worker");
        let first = if children.is_empty() { 0 } else { self.below(children.len()) };
        children.rotate_left(first);
        if self.one_in(2) && children.len() > 1 {
            children.pop();
        }
        if self.one_in(2) {
            let id = self.id();
            let new = self.worker(&id, false);
            self.supervisors[at].1.push(new.clone());
            children.push(new);
        }
        for child in &mut children {
            if child["significant"] == json!(false) && self.one_in(3) {
                child["restart"] = json!(self.of(&["permanent", "transient", "temporary"]));
            }
        }
        let auto = self.of(&["never", "any_significant", "all_significant"]);
        let strategy = self.of(&["one_for_one", "one_for_all", "rest_for_one"]);
        let spec = json!({"id": sup, "type": "supervisor", "restart": "permanent", "shutdown": "infinity",
            "start": self.starts[&sup], "strategy": strategy, "intensity": self.below(5), "period_s": 1 + self.below(10),
            "auto_shutdown": auto, "children": children});
        json!({"op": "update", "sup": sup, "spec": spec})
    }

    fn pool_op(&mut self) -> Value {
        let pools = self.pools.clone();
        let sup = self.of(&pools);
        let key = format!("k{}", 1 + self.below(3));
        match self.below(6) {
            0 => json!({"op": "terminate_child", "sup": sup, "id": key, "by": "key"}),
            1 => json!({"op": "which_children", "sup": sup}),
            2 => json!({"op": "count_children", "sup": sup}),
            3 => {
                let mut exit = self.exit(&json!(key));
                exit["op"] = json!("exit");
                exit
            }
            _ => {
                self.keys += 1;
                json!({"op": "start_child", "sup": sup, "key": format!("k{}", self.keys)})
            }
        }
    }
}
