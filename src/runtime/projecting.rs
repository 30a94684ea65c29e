//! The agent around a projection: it follows a stream and is asked what it has made of it.
//!
//! A task of the agent reads the stream when it is told that something was appended, and now and then for what other
//! processes append; it hands what it read to the agent, through its mailbox. So whoever asks never waits for the disk.
//!
//! Where a projection is kept is its own choice. In memory it is right by itself: each life takes the stream from its
//! beginning. Where that takes too long, or the beginning is pruned, it is kept as one snapshot in a stream of its own, the
//! state together with how far it is: a crash between the two cannot be.
//!
//! # Invariants
//!
//! * A projection takes each event once, in order, whatever was handed over twice ([`Following`]).
//! * What was kept is of the stream that is followed.

mod follower;
mod handle;
mod place;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use self::follower::Follower;
use self::place::Place;
use crate::exit::BoxError;
use crate::id::{Incarnation, StreamId};
use crate::message::record::RecordError;
use crate::runtime::agent::{Agent, Context};
use crate::runtime::patience::persistently;
use crate::runtime::saver::{Room, Saver, ToSave};
use crate::runtime::sourced::told;
use crate::runtime::spec::{AgentSpec, ChildSpec};
use crate::runtime::tail::{DEFAULT_POLL, Tail};
use crate::seam::{Journal, Seq, Snapshot};
use crate::sourcing::{Following, Keeping, Projection, Snapshotted};

pub use self::handle::{Behind, ProjectionError, ProjectionRef};

/// With what the names of the streams begin in which projections are kept.
const STREAMS: &str = "projection/";

/// A projection as an agent; see [`ChildSpec::projection`].
pub struct Projecting<P: Projection> {
    following: Following<P>,
    of: StreamId,
    place: Arc<Place>,
    keeper: Option<Keeper<P>>,
}

/// What a [`Projecting`] agent is started from. Made by [`ChildSpec::projection`], and changed by the methods of its spec.
pub struct ProjectionArgs<P: Projection> {
    args: P::Args,
    of: StreamId,
    poll: Duration,
    keeps: Option<Keeps<P>>,
}

/// How a projection is written down and read, where it is.
struct Keeps<P: Projection> {
    every: u64,
    load: Load<P>,
    save: fn(&Following<P>, &StreamId) -> ToSave,
}

type Load<P> = fn(&<P as Projection>::Args, &StreamId, &[u8]) -> Result<Option<Following<P>>, RecordError>;

impl<P: Projection> Clone for Keeps<P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: Projection> Copy for Keeps<P> {}

impl<P: Projection> Clone for ProjectionArgs<P> {
    fn clone(&self) -> Self {
        let Self { args, of, poll, keeps } = self;
        Self { args: args.clone(), of: of.clone(), poll: *poll, keeps: *keeps }
    }
}

/// What a [`Projecting`] agent is told. Made by its own task, and by [`ProjectionRef`].
pub struct ProjectionOrder<P>(Order<P>);

enum Order<P> {
    /// Records that come after this number.
    Take { after: Seq, frames: Vec<Vec<u8>>, done: oneshot::Sender<()> },
    /// Somebody reads.
    Look(Look<P>),
    /// The stream cannot be followed by this life.
    Broken { of: Incarnation, why: BoxError },
}

type Look<P> = Box<dyn FnOnce(&P, Seq) + Send>;

impl ChildSpec {
    /// A projection: what is made of the events of a stream, as an agent that follows it and is read by
    /// [`System::projection`](crate::System::projection).
    ///
    /// It lags behind: whoever writes does not wait for it. Each life takes the stream from the beginning, and is there to
    /// be read meanwhile; [`keep_every`](AgentSpec::keep_every) lets the next one go on from what was kept.
    ///
    /// ```
    /// # use serde::{Deserialize, Serialize};
    /// # use steadfast::message::codec::Schema;
    /// # use steadfast::message::record::Record;
    /// # use std::convert::Infallible;
    /// # use steadfast::sourcing::Decision;
    /// # use steadfast::EventSourced;
    /// use steadfast::seam::Seq;
    /// use steadfast::{ChildSpec, Projection, Strategy, SupervisorSpec, System};
    /// # struct Counter(u64);
    /// #
    /// # #[derive(Serialize, Deserialize)]
    /// # struct Added(u64);
    /// #
    /// # impl Record for Added {
    /// #     const LAYOUT: Schema = Schema(1);
    /// # }
    /// #
    /// # impl EventSourced for Counter {
    /// #     type Args = ();
    /// #     type Command = u64;
    /// #     type Event = Added;
    /// #     type Reply = u64;
    /// #     type Rejection = Infallible;
    /// #     fn initial((): &()) -> Self { Self(0) }
    /// #     fn decide(&self, add: u64) -> Result<Decision<Added, u64>, Infallible> {
    /// #         Ok(Decision::event(Added(add), self.0 + add))
    /// #     }
    /// #     fn apply(&mut self, added: &Added) { self.0 += added.0; }
    /// # }
    ///
    /// struct Largest(u64);
    ///
    /// impl Projection for Largest {
    ///     type Args = ();
    ///     type Event = Added;
    ///
    ///     fn initial((): &()) -> Self {
    ///         Self(0)
    ///     }
    ///
    ///     fn apply(&mut self, _: Seq, added: &Added) {
    ///         self.0 = self.0.max(added.0);
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let spec = SupervisorSpec::new("root", Strategy::OneForOne)
    ///     .child(ChildSpec::sourced::<Counter>("counter", ()))
    ///     .child(ChildSpec::projection::<Largest>("largest", "agent/root/counter".parse()?, ()));
    /// let system = System::start(spec).await?;
    /// let counter = system.agent::<steadfast::Sourced<Counter>>("root/counter")?;
    /// for number in [3, 9, 4] {
    ///     counter.ask(number).await?;
    /// }
    /// let largest = system.projection::<Largest>("root/largest")?;
    /// assert_eq!(largest.read_latest(|largest| largest.0).await?, 9);
    /// assert_eq!(largest.lag().records, 0);
    /// # system.shutdown().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn projection<P: Projection>(name: impl Into<String>, of: StreamId, args: P::Args) -> AgentSpec<Projecting<P>> {
        Self::agent(name, ProjectionArgs { args, of, poll: DEFAULT_POLL, keeps: None })
    }
}

impl<P: Projection> AgentSpec<Projecting<P>> {
    /// How often it looks for what other processes append; [`DEFAULT_POLL`] when not set. What is appended through its own
    /// system it is told at once.
    #[must_use]
    pub fn poll(mut self, every: Duration) -> Self {
        self.args_mut().poll = every;
        self
    }
}

impl<P: Projection + Snapshotted> AgentSpec<Projecting<P>> {
    /// Keeps the projection after every so many events, in the stream `projection/` and its path, so that the next life goes
    /// on from there. What cannot be read any more is made anew from the beginning of the stream.
    #[must_use]
    pub fn keep_every(mut self, events: u64) -> Self {
        let save = |following: &Following<P>, of: &StreamId| {
            let write = following.to_write(of);
            // The stream has no records: how far the projection is, is in the bytes.
            Box::new(move || Ok(Snapshot { seq: 0, bytes: write()? })) as ToSave
        };
        self.args_mut().keeps = Some(Keeps { every: events, load: Following::restored, save });
        self
    }
}

impl<P: Projection> Agent for Projecting<P> {
    type Args = ProjectionArgs<P>;
    type Message = ProjectionOrder<P>;
    type Reply = ();

    async fn start(args: ProjectionArgs<P>, ctx: &mut Context<Self>) -> Result<Self, BoxError> {
        if args.poll.is_zero() {
            return Err(
                "a projection cannot look for events all the time; give its `poll` a duration above zero".into()
            );
        }
        let journal = ctx.system().journal();
        let place = Place::of(&ctx.myself(), ctx.system()).ok_or("the projection is forgotten")?;
        // Before anything is read: what is appended after that it is told.
        let told = ctx.system().desk().feeds().follow(&args.of);
        place.follow(told.clone());
        let (following, keeper) = match args.keeps {
            Some(keeps) => load(&args, keeps, &journal, ctx).await?,
            None => (Following::new(&args.args), None),
        };
        place.begin(following.applied());
        let follower = Follower {
            journal,
            of: args.of.clone(),
            place: Arc::clone(&place),
            myself: ctx.myself(),
            incarnation: ctx.incarnation(),
            clock: Arc::clone(ctx.system().clock()),
        };
        let (after, tail) = (following.applied(), Tail::new(told, args.poll));
        ctx.spawn_at_once(async move { follower.run(after, tail).await });
        Ok(Self { following, of: args.of, place, keeper })
    }

    async fn handle(&mut self, order: ProjectionOrder<P>, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        match order.0 {
            Order::Take { after, frames, done } => {
                self.following.take(after, &frames).map_err(|error| told(&self.of, Some(&error)))?;
                self.place.took(self.following.applied());
                self.keep_if_due(ctx);
                // An earlier life waits for nothing any more.
                let _ = done.send(());
            }
            Order::Look(look) => look(self.following.state(), self.following.applied()),
            Order::Broken { of, why } if of == ctx.incarnation() => return Err(why),
            Order::Broken { .. } => {}
        }
        Ok(())
    }
}

/// Where a projection is kept, and by what right.
struct Keeper<P: Projection> {
    save: fn(&Following<P>, &StreamId) -> ToSave,
    saver: Saver,
}

/// What was kept, or the beginning.
async fn load<P: Projection>(
    args: &ProjectionArgs<P>,
    how: Keeps<P>,
    journal: &Arc<dyn Journal>,
    ctx: &mut Context<Projecting<P>>,
) -> Result<(Following<P>, Option<Keeper<P>>), BoxError> {
    let own = StreamId::of_path(STREAMS, ctx.path())?;
    let owner = format!("{}, incarnation {}", ctx.path(), ctx.incarnation());
    let epoch = persistently(ctx, || journal.fence(&own, &owner)).await?;
    let kept = persistently(ctx, || journal.snapshot(&own)).await?;
    let kept = kept.map(|kept| (how.load)(&args.args, &args.of, &kept.bytes)).transpose();
    let following = kept.unwrap_or_else(|error| {
        tracing::warn!(path = %ctx.path(), stream = %own, %error, "what was kept cannot be read; begins anew");
        None
    });
    let following = following.flatten().unwrap_or_else(|| Following::new(&args.args));
    let keeping = Keeping::every(how.every, following.applied());
    let keeping = keeping.ok_or("a projection cannot be kept after every 0 events; give it one or more")?;
    let journal = Arc::clone(journal);
    let saver = Saver { keeping, stream: own, epoch, journal, prunes: false, room: Room::default() };
    Ok((following, Some(Keeper { save: how.save, saver })))
}

impl<P: Projection> Projecting<P> {
    fn keep_if_due(&mut self, ctx: &mut Context<Self>) {
        if let Some(Keeper { save, saver }) = &mut self.keeper {
            saver.save_if_due(self.following.applied(), || save(&self.following, &self.of), ctx);
        }
    }
}
