//! Faults by script: exactly these, each once.

use std::sync::Mutex;

use crate::fault::{Fault, FaultPlan, FaultPoint, Point, Subject};
use crate::id::{Incarnation, Path};
use crate::runtime::guard::lock;

/// A plan of faults by path and subject. Each comes true once, at the first delivery that fits, and never again.
///
/// ```
/// use steadfast::testing::Faults;
/// use steadfast::fault::Point;
/// use steadfast::{Fault, Subject};
///
/// let faults = Faults::default()
///     .at("root/executor", Point::BeforeMessage, Subject::new("build", 1), Fault::Panic)
///     .at("root/executor", Point::DuringMessage, Subject::new("build", 2), Fault::Hang);
/// assert_eq!(faults.drawn().len(), 0);
/// ```
#[derive(Debug, Default)]
pub struct Faults {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Waiting>,
    drawn: Vec<Drawn>,
}

/// Where, at which point, at a message about what, and what goes wrong.
type Waiting = (String, Point, Subject, Fault);

/// A fault that came true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// Which agent it hit.
    pub path: Path,
    /// In which life.
    pub incarnation: Incarnation,
    /// What the message was about.
    pub subject: Subject,
    /// What went wrong.
    pub fault: Fault,
}

impl Faults {
    /// Adds a fault: for the agent at `path`, at this point of a message with this subject. Several for the same point come
    /// one after the other.
    #[must_use]
    pub fn at(self, path: &str, point: Point, subject: Subject, fault: Fault) -> Self {
        lock(&self.state).waiting.push((path.to_owned(), point, subject, fault));
        self
    }

    /// The faults that came true, in order.
    #[must_use]
    pub fn drawn(&self) -> Vec<Drawn> {
        lock(&self.state).drawn.clone()
    }

    /// How many have not come true yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        lock(&self.state).waiting.len()
    }
}

impl FaultPlan for Faults {
    fn at(&self, point: &FaultPoint<'_>) -> Option<Fault> {
        let mut state = lock(&self.state);
        let fits = |(path, at, subject, _): &Waiting| {
            path == point.path.as_str() && at == point.point && Some(subject) == point.subject
        };
        let place = state.waiting.iter().position(fits)?;
        let (_, _, subject, fault) = state.waiting.remove(place);
        state.drawn.push(Drawn { path: point.path.clone(), incarnation: point.incarnation, subject, fault });
        Some(fault)
    }
}
