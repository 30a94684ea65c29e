//! Measures the framework beside its peers: all contenders take turns in one run.
//!
//! See `README.md` for what is measured and how to read it.

mod allocator;
mod benches;
mod fanout;
mod goals;
mod harness;
mod isolation;
mod journal;
mod lazy;
mod messages;
mod peers;
mod pick;
mod probe;
mod registering;
mod report;
mod routed;
mod trees;

use clap::Parser;

use harness::measure;

#[global_allocator]
static ALLOCATOR: allocator::Counting = allocator::Counting;

/// Measures the framework beside its peers.
#[derive(Parser)]
struct Options {
    /// Print one JSON object per measured thing.
    #[arg(long)]
    json: bool,
    /// Only these.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    only: Vec<String>,
    /// Only these contenders, beside each floor.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    peers: Vec<String>,
    /// How many rounds; else each has its own number.
    #[arg(long)]
    rounds: Option<usize>,
    /// Smaller numbers and three rounds: to see that it works, not to compare.
    #[arg(long)]
    quick: bool,
    /// Only say what can be measured.
    #[arg(long)]
    list: bool,
    /// What is to be measured in a process of its own, which a bench starts.
    #[arg(long, hide = true, requires = "of")]
    alone: Option<String>,
    /// Of how many.
    #[arg(long, hide = true)]
    of: Option<usize>,
}

fn main() {
    let options = Options::parse();
    if let (Some(what), Some(n)) = (&options.alone, options.of) {
        return println!("{}", lazy::alone(what, n));
    }
    // Children panic by the thousand, and a peer's message in every line would be what is measured.
    std::panic::set_hook(Box::new(|_| {}));
    let wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|only| only == name);
    for bench in benches::ALL.iter().filter(|bench| wanted(bench.name)) {
        if options.list {
            println!("{:<10} {}", bench.name, bench.about);
            continue;
        }
        let rounds = options.rounds.unwrap_or(if options.quick { 3 } else { bench.rounds });
        for &n in if options.quick { bench.quick } else { bench.sizes } {
            for &flavor in bench.flavors {
                let seen = measure(bench, flavor, n, rounds, &options.peers);
                report::print(bench, flavor, n, &seen, options.json);
            }
        }
    }
}
