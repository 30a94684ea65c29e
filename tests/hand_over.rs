//! Guarantee: a life hands over what it checkpointed, and never the state that failed; a state that no life can start
//! from is tried once.

use steadfast::testing::{Log, Recorder};
use steadfast::{
    Agent, AgentRef, AgentSpec, BoxError, CheckpointError, ChildSpec, Context, Intensity, Restart, Strategy,
    SupervisorSpec, System,
};

/// Counts. Every life writes down what it started from.
struct Counter {
    count: u64,
}

#[derive(Clone)]
struct Setup {
    log: Log,
    /// A start from this count fails.
    poison: u64,
}

enum Message {
    Add(u64),
    Checkpoint,
    /// Keeps a value of another type.
    CheckpointText,
    Fail,
    End,
    Count,
}

impl Agent for Counter {
    type Args = Setup;
    type Message = Message;
    type Reply = Result<u64, CheckpointError>;

    async fn start(setup: Setup, ctx: &mut Context<Self>) -> Result<Self, BoxError> {
        let handed_over = ctx.handed_over::<u64>();
        setup.log.write(format!("#{} from {handed_over:?}", ctx.incarnation()));
        if handed_over == Some(setup.poison) {
            return Err("nobody can start from this".into());
        }
        Ok(Self { count: handed_over.unwrap_or(0) })
    }

    async fn handle(&mut self, message: Message, ctx: &mut Context<Self>) -> Result<Self::Reply, BoxError> {
        match message {
            Message::Add(number) => self.count += number,
            Message::Checkpoint => return Ok(ctx.checkpoint(self.count).map(|()| self.count)),
            Message::CheckpointText => return Ok(ctx.checkpoint("text".to_owned()).map(|()| self.count)),
            Message::Fail => return Err("it fails".into()),
            Message::End => ctx.stop(steadfast::ExitReason::Normal),
            Message::Count => {}
        }
        Ok(Ok(self.count))
    }
}

fn counter(log: &Log) -> AgentSpec<Counter> {
    ChildSpec::agent::<Counter>("counter", Setup { log: log.clone(), poison: 13 })
}

async fn start(child: AgentSpec<Counter>) -> (System, AgentRef<Counter>, Recorder) {
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).intensity(Intensity::at_most(20)).child(child);
    let system = System::start(spec).await.expect("the tree starts");
    let agent = system.agent("root/counter").expect("it is there");
    let events = Recorder::of(&system);
    (system, agent, events)
}

async fn send(agent: &AgentRef<Counter>, messages: impl IntoIterator<Item = Message>) {
    for message in messages {
        // A failure is what some of these messages ask for.
        let _ = agent.ask(message).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_life_gets_what_was_checkpointed_last_and_not_the_state_that_failed() {
    use Message::{Add, Checkpoint, Count, Fail};
    let log = Log::default();
    let (system, agent, _) = start(counter(&log).hand_over()).await;
    send(&agent, [Add(1), Checkpoint, Add(1), Checkpoint, Add(5), Fail, Count]).await;
    assert_eq!(log.take(), ["#1 from None", "#2 from Some(2)"]);
    assert_eq!(agent.ask(Count).await.expect("a reply"), Ok(2));
    // It stays the last good one for as long as no other was kept.
    send(&agent, [Fail, Fail, Count]).await;
    assert_eq!(log.take(), ["#3 from Some(2)", "#4 from Some(2)"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_start_that_fails_with_what_was_handed_over_does_not_get_it_again() {
    use Message::{Add, Checkpoint, Count, Fail};
    let log = Log::default();
    let (system, agent, mut events) = start(counter(&log).hand_over()).await;
    send(&agent, [Add(13), Checkpoint, Fail]).await;
    events.started("root/counter", 3).await;
    assert_eq!(log.take(), ["#1 from None", "#2 from Some(13)", "#3 from None"]);
    send(&agent, [Add(1), Checkpoint, Fail, Count]).await;
    assert_eq!(log.take(), ["#4 from Some(1)"], "a new checkpoint is handed over as ever");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_child_that_did_not_opt_in_is_told_so_and_starts_from_nothing() {
    use Message::{Add, Checkpoint, Count, Fail};
    let log = Log::default();
    let (system, agent, _) = start(counter(&log)).await;
    send(&agent, [Add(1)]).await;
    let error = agent.ask(Checkpoint).await.expect("a reply").expect_err("it is not kept");
    assert_eq!(error.to_string(), "`root/counter` does not hand its state over; say so with `hand_over` in its spec");
    send(&agent, [Fail, Count]).await;
    assert_eq!(log.take(), ["#1 from None", "#2 from None"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_value_of_another_type_is_not_handed_over_and_does_no_harm() {
    use Message::{CheckpointText, Count, Fail};
    let log = Log::default();
    let (system, agent, _) = start(counter(&log).hand_over()).await;
    send(&agent, [CheckpointText, Fail, Count]).await;
    assert_eq!(log.take(), ["#1 from None", "#2 from None"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_state_outlives_the_supervisor_and_is_gone_with_a_child_that_is_forgotten() {
    use Message::{Add, Checkpoint, Count, End, Fail};
    let log = Log::default();
    let group = |child: AgentSpec<Counter>| SupervisorSpec::new("group", Strategy::OneForOne).child(child);
    let root = |group| {
        SupervisorSpec::new("root", Strategy::OneForOne)
            .intensity(Intensity::at_most(20))
            .child(ChildSpec::supervisor(group))
    };
    // The second failure within 5 seconds is one too many for the group: it is started anew, with the child.
    let system = System::start(root(group(counter(&log).hand_over()))).await.expect("the tree starts");
    let agent = system.agent::<Counter>("root/group/counter").expect("it is there");
    send(&agent, [Add(1), Checkpoint, Fail, Fail, Count]).await;
    assert_eq!(log.take(), ["#1 from None", "#2 from Some(1)", "#3 from Some(1)"]);
    assert_eq!(system.restarts().by_supervisor.len(), 2, "the group was restarted, too");
    system.shutdown().await.expect("an orderly end");

    // A temporary child is forgotten when it ends, and begins anew when its supervisor does.
    let temporary = counter(&log).hand_over().restart(Restart::Temporary);
    let other = ChildSpec::agent::<Counter>("other", Setup { log: log.clone(), poison: 13 });
    let group = group(temporary).child(other);
    let system = System::start(root(group)).await.expect("the tree starts");
    let mut events = Recorder::of(&system);
    let agent = system.agent::<Counter>("root/group/counter").expect("it is there");
    send(&agent, [Add(1), Checkpoint, End]).await;
    events.exit("root/group/counter").await;
    let other = system.agent::<Counter>("root/group/other").expect("it is there");
    assert_eq!(log.take(), ["#1 from None", "#1 from None"]);
    send(&other, [Fail, Fail, Count]).await;
    assert_eq!(log.take(), ["#2 from None", "#2 from None", "#3 from None"]);
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn an_update_that_ends_the_hand_over_lets_go_what_was_kept_with_the_next_start_and_one_may_begin_it() {
    use Message::{Add, Checkpoint, Count, Fail};
    let log = Log::default();
    let root = |child| SupervisorSpec::new("root", Strategy::OneForOne).intensity(Intensity::at_most(20)).child(child);
    let (system, agent, _) = start(counter(&log).hand_over()).await;
    let supervisor = system.supervisor("root").expect("it is one");
    send(&agent, [Add(1), Checkpoint]).await;
    supervisor.update(root(counter(&log))).await.expect("it makes sense");
    send(&agent, [Fail, Add(2), Checkpoint]).await;
    supervisor.update(root(counter(&log).hand_over())).await.expect("it makes sense");
    send(&agent, [Fail, Add(3), Checkpoint, Fail, Count]).await;
    assert_eq!(log.take(), ["#1 from None", "#2 from None", "#3 from None", "#4 from Some(3)"]);
    system.shutdown().await.expect("an orderly end");
}
