//! Finds what a task refers to, and reads files.

mod begin;
mod context;

use steadfast::{Agent, BoxError, Context, Subject};

use crate::agents::ask::wait_for;
use crate::agents::desk::{Desk, Workshop};
use crate::agents::protocol::{ContextReply, ContextRequest, LeaseReply, LeaseRequest};

pub(crate) use context::{at_hand, results_of_list, results_of_undo, results_of_work};

/// A retriever.
#[derive(Debug)]
pub struct Retriever {
    shop: Workshop,
    desk: Desk,
}

/// What a retriever is asked.
#[derive(Debug)]
pub enum RetrieverMessage {
    /// To find what a task refers to.
    Context(Box<ContextRequest>),
    /// To read files.
    Lease(LeaseRequest),
}

/// What a retriever answers.
#[derive(Debug)]
pub enum RetrieverReply {
    /// What it found.
    Context(ContextReply),
    /// To a lease.
    Lease(LeaseReply),
}

impl Agent for Retriever {
    type Args = Workshop;
    type Message = RetrieverMessage;
    type Reply = RetrieverReply;

    async fn start(shop: Workshop, _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self { shop, desk: Desk::default() })
    }

    async fn handle(&mut self, message: RetrieverMessage, ctx: &mut Context<Self>) -> Result<RetrieverReply, BoxError> {
        Ok(match message {
            RetrieverMessage::Context(request) => {
                // It may look for a file, which a disk may be slow to find; its limit is that of the condition.
                let find = context::find(*request, &self.shop);
                RetrieverReply::Context(wait_for(ctx, find).await)
            }
            RetrieverMessage::Lease(request) => RetrieverReply::Lease(self.desk.handle(request, &self.shop, ctx)),
        })
    }

    fn subject(message: &RetrieverMessage) -> Option<Subject> {
        match message {
            RetrieverMessage::Context(request) => Some(request.attempt.subject()),
            RetrieverMessage::Lease(request) => request.subject(),
        }
    }
}

impl From<ContextRequest> for RetrieverMessage {
    fn from(request: ContextRequest) -> Self {
        Self::Context(Box::new(request))
    }
}

impl From<LeaseRequest> for RetrieverMessage {
    fn from(request: LeaseRequest) -> Self {
        Self::Lease(request)
    }
}

impl TryFrom<RetrieverReply> for ContextReply {
    type Error = RetrieverReply;

    fn try_from(reply: RetrieverReply) -> Result<Self, RetrieverReply> {
        if let RetrieverReply::Context(reply) = reply { Ok(reply) } else { Err(reply) }
    }
}

impl TryFrom<RetrieverReply> for LeaseReply {
    type Error = RetrieverReply;

    fn try_from(reply: RetrieverReply) -> Result<Self, RetrieverReply> {
        if let RetrieverReply::Lease(reply) = reply { Ok(reply) } else { Err(reply) }
    }
}
