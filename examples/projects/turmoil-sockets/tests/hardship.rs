//! The server on turmoil, with a client on another host: its agent panics, the network is cut, its host crashes. Each
//! scenario runs twice, and what happened, with virtual times, is the same.

use std::cell::RefCell;
use std::fmt::Display;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufStream};
use tokio::time::{sleep, timeout};
use turmoil::net::TcpStream;
use turmoil::{Builder, Sim, established_tcp_stream_count_on, sim_elapsed};
use turmoil_sockets::{IDLE, PORT, builder, tree};

/// What happened, in one order for all hosts.
type Log = Rc<RefCell<Vec<String>>>;

/// What is done to the world, and after how many milliseconds.
type Fault = (u64, &'static str, fn(&mut Sim<'_>));

/// What the client says where nothing else is said. With a pause after each, it is not through when a fault comes.
const LINES: [&str; 6] = ["one", "two", "three", "four", "five", "six"];
const PAUSE: Duration = Duration::from_millis(100);

fn note(log: &Log, at: Option<Duration>, what: impl Display) {
    log.borrow_mut().push(format!("{:>5} {what}", at.unwrap_or_default().as_millis()));
}

/// The software of the server's host: a system, and a note of each of its events.
async fn serve(log: Log, seed: u64) -> turmoil::Result {
    let system = builder(seed).start(tree()).await?;
    note(&log, sim_elapsed(), "server is up");
    let mut events = system.events();
    loop {
        let event = events.next().await?;
        note(&log, sim_elapsed(), format!("{} {:?}", event.path, event.kind));
    }
}

/// Says a line and notes the answer, over the connection there is, or else over a new one.
async fn say(line: &str, connection: &mut Option<BufStream<TcpStream>>, log: &Log) -> io::Result<()> {
    let stream = match connection {
        Some(stream) => stream,
        None => connection.insert(BufStream::new(TcpStream::connect(("server", PORT)).await?)),
    };
    stream.write_all(format!("{line}\n").as_bytes()).await?;
    stream.flush().await?;
    let mut answer = String::new();
    if stream.read_line(&mut answer).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    note(log, sim_elapsed(), format!("answer: {}", answer.trim_end()));
    Ok(())
}

/// The software of the client's host: says each line until it is answered, but poison only once.
async fn ask(log: Log, lines: &'static [&'static str]) -> turmoil::Result {
    let mut connection = None;
    for line in lines {
        loop {
            let said = timeout(PAUSE * 5, say(line, &mut connection, &log)).await;
            let Err(error) = said.map_err(Into::into).flatten() else { break };
            note(&log, sim_elapsed(), format!("no answer to {line}: {}", error.kind()));
            connection = None;
            if *line == "poison" {
                break;
            }
            sleep(PAUSE).await;
        }
        sleep(PAUSE).await;
    }
    drop(connection);
    // By then the server has closed what was cut off.
    sleep(IDLE + PAUSE).await;
    note(&log, sim_elapsed(), format!("{} open at the server", established_tcp_stream_count_on("server")));
    Ok(())
}

/// What happens with a seed and these faults.
fn run(seed: u64, lines: &'static [&'static str], faults: &[Fault]) -> Vec<String> {
    let log = Log::default();
    let mut sim = Builder::new().rng_seed(seed).simulation_duration(Duration::from_secs(20)).build();
    let of_server = Rc::clone(&log);
    sim.host("server", move || serve(Rc::clone(&of_server), seed));
    sim.client("client", ask(Rc::clone(&log), lines));
    for (at, what, fault) in faults {
        while sim.elapsed() < Duration::from_millis(*at) {
            sim.step().expect("no host ends");
        }
        note(&log, Some(sim.elapsed()), what);
        fault(&mut sim);
    }
    sim.run().expect("the client comes to its end");
    log.take()
}

/// Runs a scenario with some seeds, each twice, and expects these parts of lines in this order, and that one nowhere.
fn check(lines: &'static [&'static str], faults: &[Fault], wanted: &[&str], unwanted: &str) {
    let logs = [1, 2, 3].map(|seed| run(seed, lines, faults));
    for (log, seed) in logs.iter().zip(1..) {
        assert_eq!(*log, run(seed, lines, faults), "the same seed shows the same");
        let mut rest = log.iter();
        for part in wanted {
            assert!(rest.any(|line| line.contains(part)), "seed {seed}, no `{part}` in its turn: {log:#?}");
        }
        assert!(!log.iter().any(|line| line.contains(unwanted)), "seed {seed}, `{unwanted}`: {log:#?}");
    }
    assert_ne!(logs[0], logs[1], "another seed shows something else");
}

#[test]
fn a_client_of_an_agent_that_panicked_reaches_its_next_life() {
    let wanted =
        ["one, line 1 of life 1", "Panicked", "no answer", "two, line 1 of life 2", "three, line 2", " 0 open"];
    check(&["one", "poison", "two", "three"], &[], &wanted, "life 3");
}

#[test]
fn a_cut_network_ends_no_life_and_leaves_no_connection_behind() {
    let cut: Fault = (350, "cut", |sim| sim.partition("server", "client"));
    let repaired: Fault = (2000, "repaired", |sim| sim.repair("server", "client"));
    let wanted = ["one, line 1 of life 1", "cut", "no answer", "repaired", "six, line", " 0 open"];
    check(&LINES, &[cut, repaired], &wanted, "Exited");
}

#[test]
fn a_host_that_crashed_starts_its_tree_anew() {
    let crash: Fault = (350, "crash", |sim| sim.crash("server"));
    let bounce: Fault = (2000, "bounce", |sim| sim.bounce("server"));
    let wanted = ["one, line 1 of life 1", "crash", "no answer", "bounce", "is up", "line 1 of life 1", " 0 open"];
    check(&LINES, &[crash, bounce], &wanted, "Exited");
}
