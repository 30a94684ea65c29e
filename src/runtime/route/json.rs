//! Asking with JSON: whoever suits a requirement, whatever its types.

use std::any::{Any, TypeId};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::error::RequestError;
use crate::registry::requirement::Requirement;
use crate::registry::selection::{Draw, NoChoice, Selection, Tally};
use crate::runtime::current;
use crate::runtime::office::AnyLetter;
use crate::runtime::posting::Asking;
use crate::runtime::route::members::{By, Members, Now};
use crate::runtime::route::part::NoFuses;
use crate::runtime::route::reach::{JsonNotTaken, NotTaken, Way};
use crate::runtime::route::unsent::Unsent;
use crate::runtime::slot::{AnySlot, Patience};
use crate::runtime::system::System;

/// Who was chosen.
struct Chosen {
    slot: Arc<dyn AnySlot>,
    way: Arc<dyn Way>,
}

/// Asks the least loaded of those who suit a requirement.
pub(crate) async fn ask_json(
    system: &System,
    requirement: &Requirement,
    request: Value,
    limit: Duration,
) -> Result<Value, RequestError> {
    let unsent = |request, error, receiver| {
        let letter = UnsentJson { requirement: requirement.clone(), request };
        Unsent::new(error, Box::new(letter), receiver).bury(system)
    };
    let Chosen { slot, way } = match choose(system, requirement) {
        Ok(chosen) => chosen,
        Err(error) => return Err(unsent(request, error, None)),
    };
    let asking = Asking { patience: Patience::NextLife, ..Asking::within(limit) };
    match way.ask_json(&slot, &request, asking) {
        Ok(reply) => reply.await,
        Err(error) => Err(unsent(request, error, Some(slot.core().path.clone()))),
    }
}

fn choose(system: &System, requirement: &Requirement) -> Result<Chosen, RequestError> {
    let members = Members::of(system.index().discover(requirement), &NoFuses);
    let now = Now::of(system);
    // The code of a life that was given up takes nobody's turn.
    let draw = Draw::new(0, current::fenced().map_or_else(|| system.next_turn(), |_| 0));
    let found = members.choose(&By::of(Selection::LeastLoaded), &draw, &now).map_err(|none| {
        let tally = if let NoChoice::Nobody(tally) = none { tally } else { Tally::default() };
        RequestError::NoProvider {
            capability: requirement.pattern().to_string(),
            version: requirement.range().to_string(),
            offered: Vec::new(),
            tally,
        }
    })?;
    system.announce(|| members.decision(&found, &now));
    let (part, place) = members.at(&found);
    let provider = &part.members()[place].provider;
    Ok(Chosen { slot: Arc::clone(&provider.slot), way: Arc::clone(&provider.way) })
}

/// JSON that nobody was there for, or that is not what whoever was chosen takes.
struct UnsentJson {
    requirement: Requirement,
    request: Value,
}

impl AnyLetter for UnsentJson {
    fn payload_type(&self) -> &'static str {
        "serde_json::Value"
    }

    fn send_again(self: Box<Self>, system: &System) -> Result<(), (Box<dyn AnyLetter>, String)> {
        let Chosen { slot, way } = match choose(system, &self.requirement) {
            Ok(chosen) => chosen,
            Err(error) => return Err((self, error.to_string())),
        };
        way.tell_json(&slot, &self.request, Patience::NextLife).map_err(|not_taken| match *not_taken {
            JsonNotTaken::Malformed(error) => (self as Box<dyn AnyLetter>, error.to_string()),
            JsonNotTaken::Refused(NotTaken { error, letter, .. }) => (letter, error.to_string()),
        })
    }

    fn into_payload(self: Box<Self>) -> Box<dyn Any + Send> {
        Box::new(self.request)
    }

    fn is_of(&self, payload: TypeId) -> bool {
        payload == TypeId::of::<Value>()
    }
}
