//! The agent around event-sourced state: the journal first, then the effect, then the answer.
//!
//! # Invariants
//!
//! * An event counts once the journal has it: nothing is applied, and nobody is answered, before that.
//! * The stream is fenced before it is read. What an earlier life appends later is refused, so this one has read everything.
//! * After an error the state is not believed any more: the life ends, and the next one reads anew.

use std::fmt::Display;
use std::sync::Arc;

use crate::exit::BoxError;
use crate::id::StreamId;
use crate::message::record;
use crate::runtime::agent::{Agent, Context};
use crate::runtime::patience::persistently;
use crate::runtime::saver::{Room, Saver, ToSave};
use crate::runtime::spec::{AgentSpec, ChildSpec};
use crate::seam::{AppendAt, AtMost, Epoch, Journal, JournalError, Level, Snapshot};
use crate::sourcing::{EventSourced, Keeping, Replay, ReplayError, Snapshotted, frame_of};

/// How many records are replayed before others have their turn.
const AT_ONCE: usize = 1024;

/// An agent whose state is kept as events in the journal; see [`ChildSpec::sourced`].
pub struct Sourced<E: EventSourced> {
    live: Replay<E>,
    stream: StreamId,
    epoch: Epoch,
    journal: Arc<dyn Journal>,
    snapshots: Option<(Save<E>, Saver)>,
}

/// What a [`Sourced`] agent is started from. Made by [`ChildSpec::sourced`], and changed by the methods of its spec.
pub struct SourcedArgs<E: EventSourced> {
    args: E::Args,
    stream: Option<StreamId>,
    needs: Level,
    snapshots: Option<Snapshots<E>>,
}

/// How snapshots are written and read, where they are. As functions, for only some states can.
struct Snapshots<E: EventSourced> {
    every: u64,
    prunes: bool,
    load: fn(&E::Args, &Snapshot) -> Result<Replay<E>, ReplayError>,
    save: Save<E>,
}

type Save<E> = fn(&Replay<E>) -> ToSave;

impl<E: EventSourced> Clone for Snapshots<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E: EventSourced> Copy for Snapshots<E> {}

impl<E: EventSourced> Clone for SourcedArgs<E> {
    fn clone(&self) -> Self {
        let Self { args, stream, needs, snapshots } = self;
        Self { args: args.clone(), stream: stream.clone(), needs: *needs, snapshots: *snapshots }
    }
}

impl ChildSpec {
    /// An agent whose state is kept as events in the system's journal. It is told and asked commands; the answer is
    /// `Ok` with the reply, or `Err` with the rejection, which is no failure of the agent.
    ///
    /// | | |
    /// |---|---|
    /// | a command | is decided on; its events are appended, all or none; then they are applied; then it is answered |
    /// | an answer | means that its events are kept, as durably as the journal's level says |
    /// | an error in place of an answer | does not say whether it was kept: [`RequestError`](crate::RequestError) |
    /// | two commands | one after the other; the journal writes those of different agents together |
    /// | a start | fences the stream, reads the snapshot and what comes after it, and replays |
    /// | the journal is in doubt, or away | the same is written again, for less than a second; then the life ends, and the next reads anew |
    /// | the stream is somebody else's | the life ends |
    ///
    /// The stream is [`StreamId::of_agent`], unless [`stream`](AgentSpec::stream) says otherwise. The journal of a system
    /// is in memory when none was given: [`needs`](AgentSpec::needs) says how durable it must be.
    ///
    /// ```
    /// # use serde::{Deserialize, Serialize};
    /// # use steadfast::message::codec::Schema;
    /// # use steadfast::message::record::Record;
    /// use std::convert::Infallible;
    /// use steadfast::sourcing::Decision;
    /// use steadfast::{ChildSpec, EventSourced, Strategy, SupervisorSpec, System};
    ///
    /// struct Counter(u64);
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct Added(u64);
    /// # impl Record for Added {
    /// #     const LAYOUT: Schema = Schema(1);
    /// # }
    ///
    /// impl EventSourced for Counter {
    ///     type Args = ();
    ///     type Command = u64;
    ///     type Event = Added;
    ///     type Reply = u64;
    ///     type Rejection = Infallible;
    ///
    ///     fn initial((): &()) -> Self {
    ///         Self(0)
    ///     }
    ///
    ///     fn decide(&self, add: u64) -> Result<Decision<Added, u64>, Infallible> {
    ///         Ok(Decision::event(Added(add), self.0 + add))
    ///     }
    ///
    ///     fn apply(&mut self, added: &Added) {
    ///         self.0 += added.0;
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(ChildSpec::sourced::<Counter>("counter", ()));
    /// let system = System::start(spec).await?;
    /// let counter = system.agent::<steadfast::Sourced<Counter>>("root/counter")?;
    /// assert_eq!(counter.ask(40).await?, Ok(40));
    /// system.kill("root/counter")?;
    /// assert_eq!(counter.ask(2).await?, Ok(42), "the next life goes on where the last one was");
    /// # system.shutdown().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn sourced<E: EventSourced>(name: impl Into<String>, args: E::Args) -> AgentSpec<Sourced<E>> {
        Self::agent(name, SourcedArgs { args, stream: None, needs: Level::Volatile, snapshots: None })
    }
}

impl<E: EventSourced> AgentSpec<Sourced<E>> {
    /// The stream in which the events are. One that was used by another path is found again so.
    #[must_use]
    pub fn stream(mut self, stream: StreamId) -> Self {
        self.args_mut().stream = Some(stream);
        self
    }

    /// How durable the journal must be, at least: the agent does not start on a weaker one.
    #[must_use]
    pub fn needs(mut self, level: Level) -> Self {
        self.args_mut().needs = level;
        self
    }
}

impl<E: EventSourced + Snapshotted> AgentSpec<Sourced<E>> {
    /// Saves a snapshot after every so many events, so that a start need not replay all of them. It is written after the
    /// answer to the command that made it due, beside the commands that follow. One that cannot be read is passed over
    /// where all events are still kept.
    #[must_use]
    pub fn snapshot_every(self, events: u64) -> Self {
        self.snapshots(events, false)
    }

    /// As [`snapshot_every`](Self::snapshot_every), and forgets the events that the snapshot holds. Whoever follows the
    /// stream must have read them by then: a [`Projection`](crate::Projection) that has not fails. From then on the spec
    /// must say one of the two.
    #[must_use]
    pub fn snapshot_and_prune_every(self, events: u64) -> Self {
        self.snapshots(events, true)
    }

    fn snapshots(mut self, every: u64, prunes: bool) -> Self {
        let save = |live: &Replay<E>| {
            let (seq, written) = (live.seq(), live.state().to_snapshot());
            Box::new(move || Ok(Snapshot { seq, bytes: record::encode(&written)? })) as ToSave
        };
        self.args_mut().snapshots = Some(Snapshots { every, prunes, load: Replay::from_snapshot, save });
        self
    }
}

impl<E: EventSourced> Agent for Sourced<E> {
    type Args = SourcedArgs<E>;
    type Message = E::Command;
    type Reply = Result<E::Reply, E::Rejection>;

    async fn start(args: SourcedArgs<E>, ctx: &mut Context<Self>) -> Result<Self, BoxError> {
        let journal = ctx.system().journal();
        let (has, needs) = (journal.level(), args.needs);
        if has < needs {
            return Err(format!("the journal is {has}, and the agent needs one that is {needs}").into());
        }
        let stream = match &args.stream {
            Some(stream) => stream.clone(),
            None => StreamId::of_agent(ctx.path())?,
        };
        let owner = format!("{}, incarnation {}", ctx.path(), ctx.incarnation());
        let epoch = persistently(ctx, || journal.fence(&stream, &owner)).await?;
        let (live, kept) = load(&args, &stream, &journal, ctx).await?;
        let snapshots = match args.snapshots {
            Some(how) => {
                let keeping = Keeping::every(how.every, kept);
                let keeping = keeping.ok_or("a snapshot after every 0 events cannot be saved; give it one or more")?;
                let (stream, journal, prunes) = (stream.clone(), Arc::clone(&journal), how.prunes);
                Some((how.save, Saver { keeping, stream, epoch, journal, prunes, room: Room::default() }))
            }
            None => None,
        };
        let mut agent = Self { live, stream, epoch, journal, snapshots };
        // Lives that end before they saved one would leave more and more to replay.
        agent.save_if_due(ctx);
        Ok(agent)
    }

    async fn handle(&mut self, command: E::Command, ctx: &mut Context<Self>) -> Result<Self::Reply, BoxError> {
        let (events, reply) = match self.live.state().decide(command) {
            Ok(decision) => decision.parts(),
            Err(rejection) => return Ok(Err(rejection)),
        };
        if events.is_empty() {
            return Ok(Ok(reply));
        }
        let now = ctx.system().clock().wall();
        let frame = |event| frame_of(event, E::event_type(event), now);
        let records = events.iter().map(frame).collect::<Result<Vec<_>, _>>()?;
        let at = AppendAt { epoch: self.epoch, expected: self.live.seq() };
        let (journal, stream) = (&self.journal, &self.stream);
        let end = persistently(ctx, || journal.append(stream, at, records.clone())).await?;
        for event in &events {
            self.live.apply(event);
        }
        debug_assert_eq!(end, self.live.seq(), "a journal appends all of it");
        self.save_if_due(ctx);
        Ok(Ok(reply))
    }
}

/// The state as the journal has it, and the number of its snapshot.
async fn load<E: EventSourced>(
    args: &SourcedArgs<E>,
    stream: &StreamId,
    journal: &Arc<dyn Journal>,
    ctx: &mut Context<Sourced<E>>,
) -> Result<(Replay<E>, u64), BoxError> {
    let (mut live, mut unreadable) = (Replay::new(&args.args), None);
    if let Some(Snapshots { load, .. }) = &args.snapshots
        && let Some(snapshot) = persistently(ctx, || journal.snapshot(stream)).await?
    {
        match load(&args.args, &snapshot) {
            Ok(there) => live = there,
            Err(error) => {
                tracing::warn!(path = %ctx.path(), %stream, seq = snapshot.seq, error = %error.problem,
                    "the snapshot cannot be read; replays all events");
                unreadable = Some(error);
            }
        }
    }
    let kept = live.seq();
    loop {
        let after = live.seq();
        let part = match persistently(ctx, || journal.read_some(stream, after, AtMost::default())).await {
            Ok(part) => part,
            Err(JournalError::Pruned { .. }) if unreadable.is_some() => return Err(told(stream, unreadable.as_ref())),
            Err(error @ JournalError::Pruned { .. }) if args.snapshots.is_none() => {
                return Err(format!("{error}; the spec of the agent says no `snapshot_every`").into());
            }
            Err(error) => return Err(error.into()),
        };
        for records in part.records.chunks(AT_ONCE) {
            for record in records {
                live.record(record).map_err(|error| told(stream, Some(&error)))?;
            }
            ctx.progress();
            tokio::task::yield_now().await;
        }
        if !part.more {
            return Ok((live, kept));
        }
    }
}

/// What is wrong with a record or a snapshot of a stream.
pub(crate) fn told(stream: &impl Display, error: Option<&ReplayError>) -> BoxError {
    error.map_or_else(String::new, |error| format!("stream `{stream}`: {error}: {}", error.problem)).into()
}

impl<E: EventSourced> Sourced<E> {
    fn save_if_due(&mut self, ctx: &mut Context<Self>) {
        if let Some((save, saver)) = &mut self.snapshots {
            saver.save_if_due(self.live.seq(), || save(&self.live), ctx);
        }
    }
}
