use steadfast::lifecycle::{Life, state};

fn main() {
    let now = std::time::Instant::now();
    let _ = Life::new().enter(state::Active { since: now, message_count: 0 });
}
