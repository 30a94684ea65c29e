//! What the test itself knows of each delivery: never what the code under test says of its own counts.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use steadfast::message::DeadReason;
use steadfast::{Published, RequestError};

/// All deliveries of a run, by number. All clones are the same ledger.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    deliveries: Vec<Delivery>,
    fans: Vec<Fan>,
}

/// One message to one receiver.
struct Delivery {
    how: &'static str,
    /// Its route is idempotent.
    may_repeat: bool,
    begun: u32,
    /// It began where work does not begin, or when its time was over.
    begun_wrongly: bool,
    finished: u32,
    dead: Vec<DeadReason>,
    told: Told,
    /// The publication or broadcast that it is a part of: its sender is told of all of it together.
    fan: Option<usize>,
}

/// What its sender was told.
enum Told {
    Nothing,
    /// That it was taken.
    Taken,
    Answered,
    /// That its handler began and ended midway.
    HandlerEnded,
    /// That nobody knows. This is no outcome.
    NotKnown,
    /// That nobody handled it, and why; its sender has it.
    GivenBack(String),
    /// That nobody handled it, since its receiver ended: its route says that this is all.
    Returned(String),
    /// That nobody handled it, and why. Its sender does not have it.
    NotHandled(String),
}

#[derive(Default)]
struct Fan {
    parts: Vec<usize>,
    told: Option<Published>,
}

/// How many deliveries ended in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcomes {
    pub(crate) handled: usize,
    pub(crate) unknown: usize,
    pub(crate) dead: usize,
    pub(crate) refused: usize,
}

impl Outcomes {
    pub(crate) fn total(&self) -> usize {
        self.handled + self.unknown + self.dead + self.refused
    }
}

impl fmt::Display for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { handled, unknown, dead, refused } = self;
        let total = self.total();
        write!(
            f,
            "{total} deliveries: {handled} handled, {unknown} unknown, {dead} dead letters, {refused} given back or refused"
        )
    }
}

impl Ledger {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many deliveries there are.
    pub(crate) fn sent(&self) -> usize {
        self.table().deliveries.len()
    }

    /// A delivery that is about to be made. Returns its number.
    pub(crate) fn delivery(&self, how: &'static str, may_repeat: bool) -> usize {
        self.table().add(how, may_repeat, None)
    }

    /// A publication or broadcast that is about to be made.
    pub(crate) fn fan(&self) -> usize {
        let mut table = self.table();
        table.fans.push(Fan::default());
        table.fans.len() - 1
    }

    /// The delivery of a publication to one of its receivers.
    pub(crate) fn part(&self, how: &'static str, fan: usize) -> usize {
        let mut table = self.table();
        let number = table.add(how, false, Some(fan));
        table.fans[fan].parts.push(number);
        number
    }

    pub(crate) fn published(&self, fan: usize, told: Published) {
        self.table().fans[fan].told = Some(told);
    }

    /// Its handler begins. `rightly`: its agent is active, and its time is not over.
    pub(crate) fn begun(&self, number: usize, rightly: bool) {
        let delivery = &mut self.table().deliveries[number];
        delivery.begun += 1;
        delivery.begun_wrongly |= !rightly;
    }

    pub(crate) fn finished(&self, number: usize) {
        self.table().deliveries[number].finished += 1;
    }

    pub(crate) fn dead(&self, number: usize, why: DeadReason) {
        self.table().deliveries[number].dead.push(why);
    }

    /// What the sender of something was told that it has again where it is refused.
    pub(crate) fn told_or_given_back<E: fmt::Display>(&self, number: usize, outcome: Result<(), E>) {
        let told = outcome.map_or_else(|error| Told::GivenBack(error.to_string()), |()| Told::Taken);
        self.table().deliveries[number].told = told;
    }

    /// What the sender of something that nobody waits for was told.
    pub(crate) fn told<E: fmt::Display>(&self, number: usize, outcome: Result<(), E>) {
        let told = outcome.map_or_else(|error| Told::NotHandled(error.to_string()), |()| Told::Taken);
        self.table().deliveries[number].told = told;
    }

    /// What came of a request. `returns`: it comes back where its receiver ends.
    pub(crate) fn asked(&self, number: usize, outcome: Result<usize, RequestError>, returns: bool) {
        let told = match outcome {
            Ok(reply) => {
                assert_eq!(reply, number, "the answer is that to another question");
                Told::Answered
            }
            Err(RequestError::Exited { .. }) => Told::HandlerEnded,
            Err(RequestError::Timeout { .. }) => Told::NotKnown,
            Err(error @ (RequestError::Returned { .. } | RequestError::Gone { .. })) if returns => {
                Told::Returned(error.to_string())
            }
            Err(error) => Told::NotHandled(error.to_string()),
        };
        self.table().deliveries[number].told = told;
    }

    /// How all of them ended, and what must not be.
    pub(crate) fn outcomes(&self) -> (Outcomes, Vec<String>) {
        let table = self.table();
        let (mut outcomes, mut wrong) = (Outcomes::default(), Vec::new());
        for (number, delivery) in table.deliveries.iter().enumerate() {
            if let Some(problem) = delivery.contradiction() {
                wrong.push(format!("delivery {number} {problem}: {delivery}"));
            }
            // In this order: of a question that failed and is also a dead letter there is one outcome.
            let outcome = match delivery {
                Delivery { finished: 1.., .. } => &mut outcomes.handled,
                Delivery { begun: 1.., .. } => &mut outcomes.unknown,
                Delivery { dead, .. } if !dead.is_empty() => &mut outcomes.dead,
                Delivery { told: Told::GivenBack(_) | Told::Returned(_), .. } => &mut outcomes.refused,
                _ => {
                    wrong.push(format!("delivery {number} is lost: {delivery}"));
                    continue;
                }
            };
            *outcome += 1;
        }
        wrong.extend(table.fans.iter().enumerate().filter_map(|(number, fan)| {
            let problem = fan.contradiction(&table.deliveries)?;
            Some(format!("publication {number} {problem}; {:?} of {:?}", fan.told, fan.parts))
        }));
        (outcomes, wrong)
    }
}

impl Table {
    fn add(&mut self, how: &'static str, may_repeat: bool, fan: Option<usize>) -> usize {
        self.deliveries.push(Delivery {
            how,
            may_repeat,
            begun: 0,
            begun_wrongly: false,
            finished: 0,
            dead: Vec::new(),
            told: Told::Nothing,
            fan,
        });
        self.deliveries.len() - 1
    }
}

impl Delivery {
    /// What its parts say against each other.
    fn contradiction(&self) -> Option<&'static str> {
        let Self { may_repeat, begun, finished, dead, told, fan, .. } = self;
        let problem = match told {
            _ if self.begun_wrongly => "began when its time was over, or while its agent was not active",
            _ if *begun > 1 && !may_repeat => "was handled twice",
            _ if dead.len() > 1 => "is a dead letter twice",
            _ if *begun > 0 && !dead.is_empty() => "is a dead letter although its handler began",
            Told::Answered if *finished == 0 => "was answered by nobody",
            Told::HandlerEnded if *begun == 0 => "failed in a handler that did not begin",
            Told::GivenBack(_) | Told::Returned(_) | Told::NotHandled(_) if *begun > 0 => {
                "was handled although its sender was told that it was not"
            }
            Told::GivenBack(_) if !dead.is_empty() => "is a dead letter although its sender has it",
            Told::NotHandled(_) if dead.is_empty() => "is no dead letter although nobody has it",
            Told::Nothing if fan.is_none() => "has no end",
            _ => return None,
        };
        Some(problem)
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { how, begun, finished, dead, told, .. } = self;
        write!(f, "{how}; begun {begun} times, finished {finished} times, dead {dead:?}; its sender was told ")?;
        f.write_str(match told {
            Told::Nothing => "nothing",
            Told::Taken => "that it was taken",
            Told::Answered => "the answer",
            Told::HandlerEnded => "that its handler ended midway",
            Told::NotKnown => "that time is up",
            Told::GivenBack(why) | Told::Returned(why) | Told::NotHandled(why) => why,
        })
    }
}

impl Fan {
    fn contradiction(&self, deliveries: &[Delivery]) -> Option<String> {
        let parts = || self.parts.iter().map(|number| &deliveries[*number]);
        let are = |why: DeadReason| parts().filter(|part| part.dead.contains(&why)).count();
        let nowhere = parts().filter(|part| part.begun == 0 && part.dead.is_empty()).count();
        if nowhere > 0 {
            return Some(format!("has {nowhere} deliveries that are lost"));
        }
        let Some(told) = self.told else { return Some("did not return".to_owned()) };
        // What was taken may be gone too in the end.
        let (refused, gone) = (are(DeadReason::Refused), are(DeadReason::Gone));
        if !(refused..=refused + gone).contains(&told.refused) {
            return Some(format!("has {refused} deliveries that were buried as refused, and {gone} as gone"));
        }
        (told.delivered + told.refused != self.parts.len()).then(|| "was made for others than it says".to_owned())
    }
}
