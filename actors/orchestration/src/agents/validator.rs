//! Judges results, and carries checks out.

use std::fmt;
use std::sync::Arc;

use steadfast::{Agent, BoxError, Context, Subject};

use crate::agents::desk::{Desk, Workshop};
use crate::agents::protocol::{LeaseReply, LeaseRequest, ValidateRequest};
use crate::work::validate::{self, Policy, Verdicts, validate};

/// A validator.
pub struct Validator {
    args: ValidatorArgs,
    desk: Desk,
}

/// What a validator judges and works with.
#[derive(Clone)]
pub struct ValidatorArgs {
    /// What checks are carried out with.
    pub shop: Workshop,
    /// What may be done.
    pub policy: Arc<dyn Policy>,
}

/// What a validator is asked.
#[derive(Debug)]
pub enum ValidatorMessage {
    /// To judge a result.
    Validate(ValidateRequest),
    /// To carry out a check.
    Lease(LeaseRequest),
}

/// What a validator answers.
#[derive(Debug)]
pub enum ValidatorReply {
    /// Its verdicts.
    Verdicts(Verdicts),
    /// To a lease.
    Lease(LeaseReply),
}

impl Agent for Validator {
    type Args = ValidatorArgs;
    type Message = ValidatorMessage;
    type Reply = ValidatorReply;

    async fn start(args: ValidatorArgs, _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self { args, desk: Desk::default() })
    }

    async fn handle(&mut self, message: ValidatorMessage, ctx: &mut Context<Self>) -> Result<ValidatorReply, BoxError> {
        Ok(match message {
            ValidatorMessage::Validate(request) => ValidatorReply::Verdicts(self.judge(&request)),
            ValidatorMessage::Lease(request) => ValidatorReply::Lease(self.desk.handle(request, &self.args.shop, ctx)),
        })
    }

    fn subject(message: &ValidatorMessage) -> Option<Subject> {
        match message {
            ValidatorMessage::Validate(request) => Some(request.attempt.subject()),
            ValidatorMessage::Lease(request) => request.subject(),
        }
    }
}

impl Validator {
    fn judge(&self, request: &ValidateRequest) -> Verdicts {
        let task = request.attempt.task.to_string();
        let subject = validate::Subject {
            goal: &request.goal,
            task: &task,
            value: &request.value,
            schema: request.schema.as_ref(),
        };
        let redactor = self.args.shop.room(request.attempt.run).map(|room| room.redactor).unwrap_or_default();
        validate(subject, &*self.args.policy, &redactor)
    }
}

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Validator").field("desk", &self.desk).finish_non_exhaustive()
    }
}

impl fmt::Debug for ValidatorArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidatorArgs").field("shop", &self.shop).finish_non_exhaustive()
    }
}

impl From<ValidateRequest> for ValidatorMessage {
    fn from(request: ValidateRequest) -> Self {
        Self::Validate(request)
    }
}

impl From<LeaseRequest> for ValidatorMessage {
    fn from(request: LeaseRequest) -> Self {
        Self::Lease(request)
    }
}

impl TryFrom<ValidatorReply> for Verdicts {
    type Error = ValidatorReply;

    fn try_from(reply: ValidatorReply) -> Result<Self, ValidatorReply> {
        if let ValidatorReply::Verdicts(verdicts) = reply { Ok(verdicts) } else { Err(reply) }
    }
}

impl TryFrom<ValidatorReply> for LeaseReply {
    type Error = ValidatorReply;

    fn try_from(reply: ValidatorReply) -> Result<Self, ValidatorReply> {
        if let ValidatorReply::Lease(reply) = reply { Ok(reply) } else { Err(reply) }
    }
}
