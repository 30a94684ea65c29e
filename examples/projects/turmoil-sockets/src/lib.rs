//! A supervised server that answers lines over TCP, and whose tests run it on simulated sockets: those of
//! [turmoil](https://docs.rs/turmoil). `tests/hardship.rs` crashes its agent, cuts its network and crashes its host.
//!
//! | what is tested | the better tool |
//! |---|---|
//! | your protocol and sockets: time limits, connecting again, a peer that is gone without a word | turmoil |
//! | supervision, messages, faults inside a node: a panic at the third message, a hang, a kill | `steadfast::testing::World` |
//!
//! turmoil knows of bytes and hosts, and nothing of what is inside a host. A world of steadfast has no bytes, but knows
//! every agent: it makes faults by plan and by chance, and checks the rules of supervision in each run.
//!
//! On turmoil a system needs other settings, see [`builder`], and nothing else; each host has one of its own. Two things
//! differ from run to run all the same: which arm a `tokio::select!` of yours looks at first, so make it `biased`; and the
//! ids of agents, which have the time of day in them unless the system is given a clock that has not.

use std::sync::Arc;
use std::time::Duration;

use steadfast::{
    Agent, AgentRef, Backoff, BoxError, ChildSpec, Context, SeededEntropy, Strategy, SupervisorSpec, System,
    SystemBuilder, TokioClock,
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::time::timeout;
// In a program this is `tokio::net`, and turmoil's only for its tests, by a `cfg`.
use turmoil::net::{TcpListener, TcpStream};

/// Where the server listens.
pub const PORT: u16 = 7000;

/// How long a connection may say nothing: a peer behind a network that was cut never says that it has gone.
pub const IDLE: Duration = Duration::from_secs(2);

/// What the server's own tasks say to it.
pub enum Input {
    Connection(TcpStream),
    Line(String),
}

/// Answers each line with how many it has answered in this life.
pub struct Server(u64);

impl Agent for Server {
    type Args = ();
    type Message = Input;
    /// `None` for a connection.
    type Reply = Option<String>;

    async fn start((): (), ctx: &mut Context<Self>) -> Result<Self, BoxError> {
        // The port is free, also after a crash: no life starts before all tasks of the one before it are gone.
        let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
        let myself = ctx.myself();
        ctx.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // With a full mailbox the connection is closed again; whoever wanted it comes back later.
                let _ = myself.tell(Input::Connection(stream));
            }
            panic!("nobody can connect any more");
        });
        Ok(Self(0))
    }

    async fn handle(&mut self, input: Input, ctx: &mut Context<Self>) -> Result<Option<String>, BoxError> {
        match input {
            Input::Connection(stream) => {
                ctx.spawn(talk(stream, ctx.myself()));
                Ok(None)
            }
            Input::Line(line) => {
                assert_ne!(line, "poison", "a line that nobody thought of");
                self.0 += 1;
                Ok(Some(format!("{line}, line {} of life {}", self.0, ctx.incarnation())))
            }
        }
    }
}

/// One connection, in a task of the life that took it: closed when either of them ends.
async fn talk(stream: TcpStream, server: AgentRef<Server>) {
    let (from_peer, mut to_peer) = stream.into_split();
    let mut lines = BufReader::new(from_peer).lines();
    while let Ok(Ok(Some(line))) = timeout(IDLE, lines.next_line()).await {
        let Ok(Some(answer)) = server.ask(Input::Line(line)).await else { return };
        let Ok(()) = to_peer.write_all(format!("{answer}\n").as_bytes()).await else { return };
    }
}

/// The tree of a host.
pub fn tree() -> SupervisorSpec {
    let again = Backoff::exponential(Duration::from_millis(200)).jitter(0.5);
    SupervisorSpec::new("node", Strategy::OneForOne).child(ChildSpec::agent::<Server>("server", ()).backoff(again))
}

/// A system whose runtime has simulated time, and that does the same for the same seed.
pub fn builder(seed: u64) -> SystemBuilder {
    // Otherwise the operating system draws by how much the jitter cuts a back-off.
    let entropy = SeededEntropy::new(seed, Arc::new(TokioClock));
    // The watchdog is a thread, and goes by real time.
    System::builder().entropy(Arc::new(entropy)).watchdog(None)
}
