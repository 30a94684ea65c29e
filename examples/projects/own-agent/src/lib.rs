//! An agent of one's own: it tells how warm a room is. Everything that others need to ask it is here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use steadfast::{Agent, AgentSpec, BoxError, Capability, ChildSpec, Context};

/// What can be asked for. Whoever has this constant can ask, and needs not know who answers.
pub const WARMTH: Capability<WhichRoom, Warmth> = Capability::new("home.warmth", "1.0.0");

#[derive(Clone, Serialize, Deserialize)]
pub struct WhichRoom {
    pub room: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Warmth {
    pub room: String,
    /// `None` where no such room is known.
    pub celsius: Option<i32>,
}

pub struct Thermometer(BTreeMap<String, i32>);

impl Agent for Thermometer {
    type Args = ();
    type Message = WhichRoom;
    type Reply = Warmth;

    async fn start((): (), _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self(BTreeMap::from([("kitchen".to_owned(), 21), ("cellar".to_owned(), 12)])))
    }

    async fn handle(&mut self, WhichRoom { room }: WhichRoom, _: &mut Context<Self>) -> Result<Warmth, BoxError> {
        let celsius = self.0.get(&room).copied();
        Ok(Warmth { room, celsius })
    }
}

/// The agent, to be put into a tree.
pub fn thermometer(name: &str) -> AgentSpec<Thermometer> {
    ChildSpec::agent::<Thermometer>(name.to_owned(), ()).offers(&WARMTH)
}
