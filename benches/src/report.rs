//! Sums figures up, and prints them for people or for programs.

use crate::harness::{Bench, Flavor, Seen};

/// A contender's figures in short.
struct Summary {
    median: f64,
    p99: f64,
    /// The median of the rounds' ratios, so that a drift of the machine over the rounds does not show.
    ratio: f64,
}

/// What of a sorted list lies at or below so much of it.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let position = ((sorted.len() as f64 * part).ceil() as usize).max(1) - 1;
    sorted.get(position).copied().unwrap_or(f64::NAN)
}

fn sorted(figures: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut figures: Vec<_> = figures.into_iter().collect();
    figures.sort_unstable_by(f64::total_cmp);
    figures
}

fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    quantile(&sorted(figures), 0.5)
}

fn sum_up(seen: &Seen, floor: &Seen) -> Summary {
    let all = sorted(seen.rounds.iter().flatten().copied());
    let of_round = |round: &Vec<f64>| median(round.iter().copied());
    let ratios = seen.rounds.iter().zip(&floor.rounds).map(|(ours, floor)| of_round(ours) / of_round(floor));
    Summary { median: quantile(&all, 0.5), p99: quantile(&all, 0.99), ratio: median(ratios) }
}

/// Prints what was seen of all contenders.
pub(crate) fn print(bench: &Bench, flavor: Flavor, n: usize, seen: &[Seen], json: bool) {
    let Some(floor) = seen.first() else { return };
    if !json {
        println!("\n{} ({}), n = {n}, {}", bench.name, bench.about, flavor.name());
        println!("  {:<28} {:>14} {:>14}  {:<6} {:>8}", "", "median", "p99", "unit", "ratio");
    }
    for contender in seen {
        let Summary { median, p99, ratio } = sum_up(contender, floor);
        let unit = bench.unit.name();
        if json {
            let line = serde_json::json!({
                "name": bench.name, "peer": contender.contender, "flavor": flavor.name(), "n": n,
                "rounds": contender.rounds.len(), "median": median, "p99": p99, "unit": unit, "ratio": ratio,
            });
            println!("{line}");
        } else {
            println!("  {:<28} {median:>14.1} {p99:>14.1}  {unit:<6} {ratio:>8.2}", contender.contender);
        }
    }
}
