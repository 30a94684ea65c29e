//! Routes: from a capability to an agent that offers it.
//!
//! | file | has |
//! |---|---|
//! | `reach` | how one candidate is reached, with and without its types |
//! | `provider` | a candidate for users, and the choice that a system makes by itself |
//! | `members`, `part` | who fits a route, worked out once for each list of the index, and of that only what changed |
//! | `fuse` | the circuit breaker before one provider |
//! | `builder`, `handle`, `pick` | the route for users; whom it chooses |
//! | `json` | asking with JSON, whatever the types |
//! | `sending`, `unsent` | how it sends; what becomes of what it cannot send |

mod builder;
mod fuse;
mod handle;
#[cfg(feature = "json")]
mod json;
mod members;
mod part;
mod pick;
mod provider;
mod reach;
mod sending;
mod unsent;

pub use self::builder::{AtDeath, DEFAULT_ATTEMPTS, RouteBuilder, RouteError};
pub use self::handle::Route;
#[cfg(feature = "json")]
pub(crate) use self::json::ask_json;
pub use self::pick::Picked;
pub use self::provider::Provider;
pub(crate) use self::provider::{ask, provider_at, providers};
pub(crate) use self::reach::{Offered, Offers, Reached, candidates, offered, view};
