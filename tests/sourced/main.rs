//! Guarantee: the state of an event-sourced agent is its events: what was acknowledged is there, once, whatever crashes; and
//! projections take each of them once.

mod agent;
mod ledger;
mod parts;
mod projection;
mod replay;
mod sweep;
