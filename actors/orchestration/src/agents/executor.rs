//! Runs programs and puts results together.

use steadfast::{Agent, BoxError, Context, Subject};

use crate::agents::desk::{Desk, Workshop};
use crate::agents::protocol::{LeaseReply, LeaseRequest};

/// An executor, one of a pool.
#[derive(Debug)]
pub struct Executor {
    shop: Workshop,
    desk: Desk,
}

/// What an executor is asked.
#[derive(Debug)]
pub struct ExecutorMessage(LeaseRequest);

impl From<LeaseRequest> for ExecutorMessage {
    fn from(request: LeaseRequest) -> Self {
        Self(request)
    }
}

impl Agent for Executor {
    type Args = Workshop;
    type Message = ExecutorMessage;
    type Reply = LeaseReply;

    async fn start(shop: Workshop, _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self { shop, desk: Desk::default() })
    }

    async fn handle(&mut self, message: ExecutorMessage, ctx: &mut Context<Self>) -> Result<LeaseReply, BoxError> {
        Ok(self.desk.handle(message.0, &self.shop, ctx))
    }

    fn subject(message: &ExecutorMessage) -> Option<Subject> {
        message.0.subject()
    }
}
