//! Why a request got no reply.

use std::time::Duration;

use super::{fenced, rate_limited};
use crate::exit::ExitReason;
use crate::flow::bulkhead::Occupancy;
use crate::id::{Incarnation, Path};
use crate::registry::selection::Tally;

/// A request got no reply.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The incarnation that handled the request ended before it replied. The request is not delivered again.
    #[error("{path}, incarnation {incarnation}, {reason}")]
    Exited {
        /// The agent.
        path: Path,
        /// The life that ended.
        incarnation: Incarnation,
        /// How it ended.
        reason: ExitReason,
    },
    /// No reply came before the deadline. Whether the request was handled is not known.
    #[error("`{path}` did not reply within {limit:?}")]
    Timeout {
        /// The agent.
        path: Path,
        /// The deadline that passed.
        limit: Duration,
    },
    /// The mailbox had no room before the deadline; the request was not sent.
    #[error("{}", full(path, *bound, *limit))]
    Full {
        /// The agent.
        path: Path,
        /// How many messages its mailbox may hold.
        bound: usize,
        /// The deadline that passed.
        limit: Duration,
    },
    /// The agent is not running and will not be started again.
    #[error("`{path}` is not running and no restart of it is coming")]
    Gone {
        /// Where the agent was.
        path: Path,
    },
    /// The agent takes no new work. The request was not sent.
    #[error("`{path}` is draining: it takes no new work; ask another, or wait for its next life")]
    Draining {
        /// The agent.
        path: Path,
    },
    /// The request's time was over before its turn came. No handler of it began.
    #[error("the time of a request to `{path}` was over before its turn came; it was not handled")]
    Expired {
        /// The agent.
        path: Path,
    },
    /// The mailbox was full, and the request made room for another. No handler of it began.
    #[error("a request to `{path}` made room for another in a full mailbox; it was not handled")]
    Shed {
        /// The agent.
        path: Path,
    },
    /// The life that was to handle the request ended, or took no more, and the request does not wait for the next one.
    /// No handler of it began.
    #[error("`{path}`, incarnation {incarnation}, ended before it handled the request")]
    Returned {
        /// The agent.
        path: Path,
        /// The life that ended.
        incarnation: Incarnation,
    },
    /// The domain of the agent got as many messages as it may within a time, and the turn of this one does not come
    /// before the deadline; the request was not sent.
    #[error("not asked of `{path}`: {}", rate_limited(domain, *retry_after))]
    RateLimited {
        /// The agent.
        path: Path,
        /// The supervisor of its domain.
        domain: Path,
        /// In how long there may be room for another one, if nobody else comes first.
        retry_after: Duration,
    },
    /// As many requests as may were inside the domain of the agent, and none of them left in time; the request was not
    /// sent.
    #[error(
        "not asked of `{path}`: after {waited:?} the domain `{domain}` is as full as `domain.bulkhead` allows: {occupancy}"
    )]
    Saturated {
        /// The agent.
        path: Path,
        /// The supervisor of its domain.
        domain: Path,
        /// How long was waited for a permit.
        waited: Duration,
        /// How the domain stood then.
        occupancy: Occupancy,
    },
    /// The asker is a life that has ended or was given up, and whose code runs on. The request was not sent.
    #[error("not asked of `{path}`: {}", fenced(sender, *incarnation))]
    Fenced {
        /// The agent that was to be asked.
        path: Path,
        /// Where the asker stood.
        sender: Path,
        /// The life whose code asked.
        incarnation: Incarnation,
    },
    /// Nobody offers the capability in a version that fits; or of those who do, nobody may be chosen.
    #[error("{}", no_provider(capability, version, offered, tally))]
    NoProvider {
        /// The capability's name.
        capability: String,
        /// The version that was asked for, and on a route the attributes that were needed.
        version: String,
        /// The versions that are offered, on a route with their attributes.
        offered: Vec<String>,
        /// How those stand who fit, as far as a route saw them.
        tally: Tally,
    },
    /// The route goes by a key, and the message has none.
    #[error("the route to `{capability}` goes by a key; ask with `ask_about`, or choose another selection")]
    NoKey {
        /// The capability's name.
        capability: String,
    },
    /// The JSON is not a request of this capability.
    #[error("`{path}` does not take this as a request for `{capability}`: {problem}")]
    Malformed {
        /// The capability's name.
        capability: String,
        /// The agent that was to be asked.
        path: Path,
        /// Where it is none, and why.
        problem: String,
    },
    /// The reply cannot be written as JSON. The request was handled.
    #[error("the reply cannot be written as JSON: {problem}")]
    ReplyNotJson {
        /// Why.
        problem: String,
    },
    /// The name is offered with other types of request or reply than the caller's.
    #[error("`{capability}` is offered by `{path}` with other types of request or reply than this constant has")]
    WrongType {
        /// The capability's name.
        capability: String,
        /// Who offers it.
        path: Path,
    },
    /// The agent at this path is of another type.
    #[error("the agent at `{path}` is not a `{expected}`")]
    WrongAgent {
        /// Where the agent is.
        path: Path,
        /// The type that was asked for.
        expected: &'static str,
    },
    /// The agent's reply is not one that belongs to this capability.
    #[error("`{path}` replied to `{capability}` with a reply of another capability")]
    WrongReply {
        /// The capability's name.
        capability: String,
        /// The agent.
        path: Path,
    },
    /// No child of the tree has this path.
    #[error("there is no `{path}` in the tree")]
    Unknown {
        /// The path.
        path: String,
    },
}

fn full(path: &Path, bound: usize, limit: Duration) -> String {
    if limit.is_zero() {
        return format!("the mailbox of `{path}` is full ({bound} messages)");
    }
    format!("the mailbox of `{path}` had no room for {limit:?} (it holds {bound} messages)")
}

fn no_provider(capability: &str, version: &str, offered: &[String], tally: &Tally) -> String {
    if *tally == Tally::default() {
        let offered = offered_versions(offered);
        return format!("nobody offers `{capability}` in a version compatible with {version}{offered}");
    }
    format!("nobody who offers `{capability}` in a version compatible with {version} can be asked: {tally}")
}

fn offered_versions(offered: &[String]) -> String {
    if offered.is_empty() { String::new() } else { format!("; offered: {}", offered.join(", ")) }
}
