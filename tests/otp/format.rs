//! The scenarios as `tests/data/otp/FORMAT.md` describes them. What a driver is given holds no expectation.

use std::fs;

use serde::Deserialize;
use serde_json::Value;

/// A recorded scenario, in its two halves: what is done, and what was seen.
#[derive(Deserialize)]
pub(crate) struct Recorded {
    #[serde(flatten)]
    pub(crate) scenario: Scenario,
    pub(crate) expect: Expect,
    #[serde(default)]
    pub(crate) relax: Vec<String>,
}

/// What is done. All that a driver knows.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) tree: Node,
    pub(crate) ops: Vec<Op>,
}

/// What was seen.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
pub(crate) struct Expect {
    pub(crate) steps: Vec<Step>,
    #[serde(rename = "final")]
    pub(crate) end: Value,
    pub(crate) stop: Vec<Value>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
pub(crate) struct Step {
    pub(crate) result: Value,
    pub(crate) events: Vec<Value>,
}

/// A supervisor or a worker.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Node {
    pub(crate) id: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) restart: String,
    pub(crate) shutdown: Value,
    #[serde(default)]
    pub(crate) significant: bool,
    #[serde(default = "starts")]
    pub(crate) start: Vec<String>,
    #[serde(default = "stops")]
    pub(crate) on_shutdown: String,
    // Of supervisors only.
    #[serde(default)]
    pub(crate) strategy: String,
    #[serde(default)]
    pub(crate) intensity: i64,
    #[serde(default)]
    pub(crate) period_s: i64,
    #[serde(default)]
    pub(crate) auto_shutdown: String,
    #[serde(default)]
    pub(crate) children: Vec<Node>,
}

fn starts() -> Vec<String> {
    vec!["ok".to_owned()]
}

fn stops() -> String {
    "stop".to_owned()
}

impl Node {
    pub(crate) fn is_supervisor(&self) -> bool {
        self.kind == "supervisor"
    }

    pub(crate) fn is_dynamic(&self) -> bool {
        self.strategy == "simple_one_for_one"
    }
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Exit {
    pub(crate) id: String,
    pub(crate) reason: String,
}

/// One operation.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(crate) enum Op {
    Exit(Exit),
    StartChild {
        sup: String,
        child: Option<Box<Node>>,
        key: Option<String>,
        start: Option<Vec<String>>,
        on_shutdown: Option<String>,
    },
    TerminateChild {
        sup: String,
        id: String,
        by: Option<String>,
    },
    RestartChild {
        sup: String,
        id: String,
    },
    DeleteChild {
        sup: String,
        id: String,
    },
    WhichChildren {
        sup: String,
    },
    CountChildren {
        sup: String,
    },
    #[serde(rename = "get_childspec")]
    GetChildSpec {
        sup: String,
        id: String,
        by: Option<String>,
    },
    Wait {
        ms: u64,
    },
    Burst {
        sup: String,
        exits: Vec<Exit>,
    },
    Async {
        call: Box<Op>,
    },
    Release {
        id: String,
    },
    Update {
        sup: String,
        spec: Box<Node>,
    },
}

/// Reads scenarios from one or more files, separated by `:`.
pub(crate) fn read(paths: &str) -> Vec<Recorded> {
    let mut found = Vec::new();
    for path in paths.split(':').filter(|path| !path.is_empty()) {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let scenario = serde_json::from_str(line).unwrap_or_else(|error| panic!("{path}:{}: {error}", number + 1));
            found.push(scenario);
        }
    }
    found
}
