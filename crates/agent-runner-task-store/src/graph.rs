//! Finding a circle among tasks that wait for each other.

use std::{collections::HashMap, hash::Hash};

/// Walks from `starts` along `edges` and returns the first circle, its first node repeated at the
/// end. Each node's edges are asked for once, and no stack grows with the depth of the graph.
pub(crate) fn find_cycle<N, E>(
    starts: impl IntoIterator<Item = N>,
    mut edges: impl FnMut(&N) -> Result<Vec<N>, E>,
) -> Result<Option<Vec<N>>, E>
where
    N: Clone + Eq + Hash,
{
    let mut seen: HashMap<N, Mark> = HashMap::new();
    for start in starts {
        if seen.contains_key(&start) {
            continue;
        }
        seen.insert(start.clone(), Mark::OnPath);
        let mut path = vec![(start.clone(), edges(&start)?)];
        while let Some((node, left)) = path.last_mut() {
            let Some(next) = left.pop() else {
                seen.insert(node.clone(), Mark::Done);
                path.pop();
                continue;
            };
            match seen.get(&next) {
                Some(Mark::Done) => {}
                Some(Mark::OnPath) => return Ok(Some(circle(path, next))),
                None => {
                    seen.insert(next.clone(), Mark::OnPath);
                    let onward = edges(&next)?;
                    path.push((next, onward));
                }
            }
        }
    }
    Ok(None)
}

#[derive(Clone, Copy)]
enum Mark {
    OnPath,
    Done,
}

/// The part of the path that begins with `first`, closed.
fn circle<N: Eq>(path: Vec<(N, Vec<N>)>, first: N) -> Vec<N> {
    let nodes = path.into_iter().map(|(node, _)| node);
    let mut cycle: Vec<N> = nodes.skip_while(|node| *node != first).collect();
    cycle.push(first);
    cycle
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, convert::Infallible};

    use super::find_cycle;

    fn check(edges: &[(u32, &[u32])], expected: Option<&[u32]>) {
        let graph: HashMap<_, _> = edges.iter().copied().collect();
        let found = find_cycle(edges.iter().map(|(node, _)| *node), |node| {
            Ok::<_, Infallible>(graph.get(node).map(|to| to.to_vec()).unwrap_or_default())
        });
        assert_eq!(found.expect("edges cannot fail").as_deref(), expected, "in {edges:?}");
    }

    #[test]
    fn names_the_circle_and_nothing_else() {
        check(&[], None);
        check(&[(1, &[2]), (2, &[3])], None);
        check(&[(1, &[2, 3]), (2, &[4]), (3, &[4])], None);
        check(&[(1, &[1])], Some(&[1, 1]));
        check(&[(1, &[2]), (2, &[3]), (3, &[2])], Some(&[2, 3, 2]));
    }

    #[test]
    fn a_long_chain_needs_no_stack() {
        let found = find_cycle([0_u32], |node| Ok::<_, Infallible>(vec![(node + 1) % 1_000_000]));
        assert_eq!(found.expect("edges cannot fail").map(|cycle| cycle.len()), Some(1_000_001));
    }
}
