//! What the test itself knows of what was sent: whose turn it was, when it had to be over, and for which life it was.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast::testing::{Trace, What, World};
use steadfast::{Incarnation, Path, RequestError};

use crate::ledger::Ledger;

/// How much later than its deadline a question may end: timers go by whole milliseconds.
const LATE: Duration = Duration::from_millis(2);

/// What a message is to the test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Mark {
    /// It is accounted for.
    Letter(usize),
    /// It is accounted for, and the place of a sender's messages to one receiver.
    Turn { letter: usize, sender: usize, turn: u64 },
    /// It was set by a life for itself.
    Timer(usize),
    /// Nobody looks where it is.
    Loose,
}

/// All that is sent in a run. All clones are the same.
#[derive(Clone)]
pub(crate) struct Post {
    pub(crate) world: World,
    pub(crate) ledger: Ledger,
    /// Whether dead letters are sent again: then whoever was told that nobody handled something may see it handled.
    sends_again: bool,
    table: Arc<Mutex<Table>>,
}

#[derive(Default)]
struct Table {
    timers: Vec<Timer>,
    /// The last turn that was given out, and the last that began, of a sender at a receiver.
    given: BTreeMap<(usize, String), u64>,
    begun: BTreeMap<(usize, String), u64>,
    /// Whoever is asked fails.
    sick: BTreeSet<String>,
    wrong: Vec<String>,
}

struct Timer {
    life: Incarnation,
    set: Duration,
    due: Duration,
}

impl Post {
    pub(crate) fn new(world: &World) -> Self {
        Self { world: world.clone(), ledger: Ledger::default(), sends_again: false, table: Arc::default() }
    }

    /// Dead letters are sent again.
    pub(crate) fn sending_again(self) -> Self {
        Self { sends_again: true, ..self }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something is not as it must be.
    pub(crate) fn wrong(&self, problem: impl fmt::Display) {
        self.table().wrong.push(problem.to_string());
    }

    /// The next message of a sender to a receiver, which must not overtake one before it.
    pub(crate) fn turn(&self, sender: usize, to: &str) -> (usize, Mark) {
        let letter = self.ledger.delivery("tell in turn", false);
        let mut table = self.table();
        let turn = table.given.entry((sender, to.to_owned())).or_default();
        *turn += 1;
        (letter, Mark::Turn { letter, sender, turn: *turn })
    }

    /// A life sets a timer for itself.
    pub(crate) fn timer(&self, life: Incarnation, wait: Duration) -> Mark {
        let mut table = self.table();
        table.timers.push(Timer { life, set: self.world.now(), due: self.world.now() + wait });
        Mark::Timer(table.timers.len() - 1)
    }

    pub(crate) fn set_sick(&self, path: &str, is_sick: bool) {
        let mut table = self.table();
        if is_sick {
            table.sick.insert(path.to_owned())
        } else {
            table.sick.remove(path)
        };
    }

    pub(crate) fn is_sick(&self, path: &Path) -> bool {
        self.table().sick.contains(path.as_str())
    }

    /// The handler of a message begins, in this life.
    pub(crate) fn begun(&self, mark: Mark, path: &Path, life: Incarnation) {
        match mark {
            // A fault may come between the choice of a message and the begin of its handler: the chaos arena, which has
            // none of those, looks whether it begins rightly.
            Mark::Letter(letter) => self.ledger.begun(letter, true),
            Mark::Turn { letter, sender, turn } => {
                self.ledger.begun(letter, true);
                let mut table = self.table();
                let last = table.begun.entry((sender, path.to_string())).or_default();
                let before = std::mem::replace(last, turn.max(*last));
                if turn < before {
                    let problem =
                        format!("order: {path} #{life} begins number {turn} of sender {sender} after {before}");
                    table.wrong.push(problem);
                }
            }
            Mark::Timer(timer) => self.fired(timer, path, life),
            Mark::Loose => {}
        }
    }

    /// One that came in time and waited may find the next life. One whose life was over before it was due may not.
    fn fired(&self, timer: usize, path: &Path, life: Incarnation) {
        let (of, set, due) = {
            let table = self.table();
            let Timer { life, set, due } = &table.timers[timer];
            (*life, *set, *due)
        };
        if of == life {
            return;
        }
        let was_over = |trace: &Trace| {
            trace.entries().iter().skip_while(|entry| entry.at < set).take_while(|entry| entry.at < due).any(|entry| {
                matches!(&entry.what, What::Code { path: other, incarnation, is_there: false } if other == path && *incarnation == of)
            })
        };
        if self.world.look(was_over) {
            self.wrong(format!("timer: one that {path} #{of} set, and that was due at {due:?}, came in #{life}"));
        }
    }

    pub(crate) fn finished(&self, mark: Mark) {
        if let Mark::Letter(letter) | Mark::Turn { letter, .. } = mark {
            self.ledger.finished(letter);
        }
    }

    /// Asks, and notes what came of it and whether that was in time.
    pub(crate) async fn ask(
        &self,
        letter: usize,
        limit: Duration,
        asking: impl Future<Output = Result<u64, RequestError>>,
    ) -> Result<u64, RequestError> {
        let began = self.world.now();
        let outcome = asking.await;
        let took = self.world.now().saturating_sub(began);
        if took > limit + LATE {
            self.wrong(format!("asks: one with {limit:?} took {took:?}, and came to {outcome:?}"));
        }
        if self.sends_again
            && !matches!(outcome, Ok(_) | Err(RequestError::Exited { .. } | RequestError::Timeout { .. }))
        {
            self.ledger.told(letter, Ok::<(), RequestError>(()));
            return outcome;
        }
        let number = outcome.clone().map(|reply| usize::try_from(reply).expect("a number of ours"));
        self.ledger.asked(letter, number, false);
        outcome
    }

    /// What is not as it must be, at the end.
    pub(crate) fn problem(&self) -> Option<String> {
        if let Some(wrong) = self.table().wrong.first() {
            return Some(wrong.clone());
        }
        let (_, wrong) = self.ledger.outcomes();
        wrong.first().map(|wrong| format!("ledger: {wrong}"))
    }
}
