#[steadfast::sim_test(sedes = 3)]
async fn an_option_that_there_is_not(world: steadfast::testing::World) {}

#[steadfast::sim_test(seeds)]
async fn a_value_is_missing(world: steadfast::testing::World) {}

#[steadfast::sim_test]
fn not_async(world: steadfast::testing::World) {}

#[steadfast::sim_test]
async fn no_world() {}

fn main() {}
