//! What holds for any bytes.

use agent_runner_signals::{End, Ending, Event, Format, Now, Parser, Summary, judge};
use proptest::prelude::*;

use crate::{fixtures, now};

fn read(format: Format, chunks: &[&[u8]], on_stderr: bool) -> (Vec<Event>, Summary) {
    let mut parser = Parser::new(format);
    let mut events = Vec::new();
    for chunk in chunks {
        if on_stderr {
            parser.feed_stderr(chunk, |event| events.push(event));
        } else {
            parser.feed(chunk, |event| events.push(event));
        }
    }
    (events, parser.finish())
}

/// Cuts bytes at these places.
fn cut<'a>(bytes: &'a [u8], places: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<_> = places.iter().map(|place| place.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

/// Pieces of what CLIs print, whole and broken.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let known: Vec<Vec<u8>> = fixtures::names()
        .flat_map(|name| {
            let (stdout, stderr) = fixtures::output(name);
            [stdout, stderr]
                .concat()
                .split_inclusive(|&byte| byte == b'\n')
                .map(<[u8]>::to_vec)
                .collect::<Vec<_>>()
        })
        .collect();
    let known = prop::sample::select(known);
    let broken = (known.clone(), any::<prop::sample::Index>()).prop_map(|(mut line, place)| {
        line.truncate(place.index(line.len() + 1));
        line
    });
    let syntax = prop::sample::select(b"{}[]\":,\\\n\r u0d1e-.tfn\xff\xc3\x28".as_slice());
    let noise = prop::collection::vec(syntax, 0..40);
    let bytes = prop::collection::vec(any::<u8>(), 0..40);
    let piece = prop_oneof![4 => known, 2 => broken, 2 => noise, 1 => bytes];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn formats() -> impl Strategy<Value = Format> {
    prop::sample::select(Format::ALL.as_slice())
}

fn ends() -> impl Strategy<Value = End> {
    prop_oneof![
        any::<i32>().prop_map(End::Exited),
        (0..256).prop_map(End::Exited),
        any::<i32>().prop_map(End::Signaled),
        Just(End::TimedOut),
        Just(End::Stopped),
        Just(End::Cancelled),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn chunks_make_no_difference(
        format in formats(),
        bytes in pieces(),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        on_stderr in any::<bool>(),
    ) {
        let whole = read(format, &[&bytes], on_stderr);
        prop_assert_eq!(&whole, &read(format, &cut(&bytes, &places), on_stderr));
        let single: Vec<_> = bytes.chunks(1).collect();
        prop_assert_eq!(&whole, &read(format, &single, on_stderr));
    }

    #[test]
    fn any_output_and_any_end_come_to_a_verdict(
        format in formats(),
        bytes in pieces(),
        end in ends(),
        on_stderr in any::<bool>(),
    ) {
        let (_, summary) = read(format, &[&bytes], on_stderr);
        let verdict = judge(&summary, end, &now());
        prop_assert_eq!(verdict.message.is_none(), verdict.outcome.as_str() == "succeeded");
        let far = Now::local(std::time::UNIX_EPOCH, i32::MIN, "");
        prop_assert_eq!(judge(&summary, end, &far).outcome, verdict.outcome);
    }

    /// A line that was cut, and anything that is no object, costs no other line.
    #[test]
    fn a_broken_line_costs_itself_alone(
        broken in pieces(),
        name in prop::sample::select(fixtures::names().collect::<Vec<_>>()),
    ) {
        let (stdout, _) = fixtures::output(name);
        let bytes = [broken.as_slice(), b"\n", &stdout].concat();
        let (_, summary) = read(fixtures::format(name), &[&bytes], false);
        let (_, alone) = read(fixtures::format(name), &[&stdout], false);
        let is_success = |ending: Ending| ending == Ending::Succeeded;
        if let Some(ending) = alone.ending {
            prop_assert_eq!(summary.ending.map(is_success), Some(is_success(ending)));
        }
    }

    #[test]
    fn line_ends_of_another_system_make_no_difference(
        name in prop::sample::select(fixtures::names().collect::<Vec<_>>()),
    ) {
        let (stdout, stderr) = fixtures::output(name);
        for (bytes, on_stderr) in [(stdout, false), (stderr, true)] {
            let text = String::from_utf8(bytes).expect("CLIs write UTF-8");
            let other = text.replace('\n', "\r\n");
            let format = fixtures::format(name);
            prop_assert_eq!(
                read(format, &[text.as_bytes()], on_stderr),
                read(format, &[other.as_bytes()], on_stderr)
            );
        }
    }
}
