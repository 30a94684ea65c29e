//! Order and critical path of a graph whose nodes are numbers.
//!
//! `needs[n]` lists the nodes that come before `n`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// All nodes, each after those it needs, the lowest number first among equals; or a cycle, in which each node needs the
/// one after it and the last one the first.
pub(super) fn ordered(needs: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut waiting: Vec<usize> = needs.iter().map(Vec::len).collect();
    let mut needed_by = vec![Vec::new(); needs.len()];
    for (node, needs) in needs.iter().enumerate() {
        for &need in needs {
            needed_by[need].push(node);
        }
    }
    let mut ready: BinaryHeap<Reverse<usize>> =
        (0..needs.len()).filter(|&node| waiting[node] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(needs.len());
    while let Some(Reverse(node)) = ready.pop() {
        order.push(node);
        for &next in &needed_by[node] {
            waiting[next] -= 1;
            if waiting[next] == 0 {
                ready.push(Reverse(next));
            }
        }
    }
    match waiting.iter().position(|&left| left > 0) {
        Some(stuck) => Err(cycle_from(stuck, needs, &waiting)),
        None => Ok(order),
    }
}

/// The cycle that a stuck node leads into. Every stuck node needs a stuck node, so the walk ends in one.
fn cycle_from(start: usize, needs: &[Vec<usize>], waiting: &[usize]) -> Vec<usize> {
    let mut path = vec![start];
    loop {
        let here = path[path.len() - 1];
        let Some(&next) = needs[here].iter().find(|&&need| waiting[need] > 0) else { return path };
        if let Some(first) = path.iter().position(|&node| node == next) {
            return path.split_off(first);
        }
        path.push(next);
    }
}

/// The chain of nodes with the largest sum of weights, then with most nodes, then with the lowest numbers.
pub(super) fn critical(order: &[usize], needs: &[Vec<usize>], weights: &[Duration]) -> Vec<usize> {
    // By node: the weight and number of nodes of the best chain that ends there, and the node before it.
    let mut best: Vec<((Duration, usize), Option<usize>)> = vec![((Duration::ZERO, 0), None); needs.len()];
    for &node in order {
        let before = needs[node].iter().copied().max_by_key(|&need| (best[need].0, Reverse(need)));
        let (weight, count) = before.map_or((Duration::ZERO, 0), |before| best[before].0);
        best[node] = ((weight + weights[node], count + 1), before);
    }
    let mut chain = Vec::new();
    let mut next = order.iter().copied().max_by_key(|&node| (best[node].0, Reverse(node)));
    while let Some(node) = next {
        chain.push(node);
        next = best[node].1;
    }
    chain.reverse();
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_come_after_what_they_need_and_otherwise_by_number() {
        assert_eq!(ordered(&[vec![3], vec![], vec![0], vec![]]), Ok(vec![1, 3, 0, 2]));
        assert_eq!(ordered(&[]), Ok(vec![]));
    }

    #[test]
    fn a_cycle_is_found_behind_nodes_that_only_lead_to_it() {
        assert_eq!(ordered(&[vec![1], vec![2], vec![3], vec![1]]), Err(vec![1, 2, 3]));
        assert_eq!(ordered(&[vec![0]]), Err(vec![0]));
    }

    #[test]
    fn the_critical_path_is_the_heaviest_and_then_the_longest() {
        let needs = [vec![], vec![0], vec![], vec![1, 2]];
        let secs = |weights: [u64; 4]| weights.map(Duration::from_secs);
        assert_eq!(critical(&[0, 1, 2, 3], &needs, &secs([1, 1, 5, 1])), [2, 3]);
        assert_eq!(critical(&[0, 1, 2, 3], &needs, &secs([0; 4])), [0, 1, 3]);
        assert_eq!(critical(&[], &[], &[]), [] as [usize; 0]);
    }
}
