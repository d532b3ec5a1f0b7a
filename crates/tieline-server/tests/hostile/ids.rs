//! Ids that are foreign, used up, from the future or somebody else's.

use bytes::Bytes;
use tieline_protocol::{ChannelId, ClientId, Code, ExchangeId, Fault, Flags, Frame, Kind, RequestId};

use crate::common::{RawClient, body, channel, of, start};
use crate::stage::{Case, Cast, MEETING, case, code, expelled, last, made_up, play, raw_start, unmoved};

/// What only the opener of an exchange sends.
fn of_opener(id: ExchangeId) -> Vec<Frame> {
    vec![
        of(Kind::ChunkRequest, id, 2, b"evil"),
        last(of(Kind::ChunkRequest, id, 2, b"")),
        of(Kind::EndRequest, id, 2, b""),
        of(Kind::ErrorRequest, id, 0, &Fault::new(Code::Cancelled).encode()),
        of(Kind::AckResponse, id, 50_000, b""),
    ]
}

/// What only the receiver of an exchange sends.
fn of_receiver(id: ExchangeId) -> Vec<Frame> {
    vec![
        of(Kind::AckRequest, id, 50_000, b""),
        start(Kind::StartResponse, id, Flags::FINAL, b"evil"),
        of(Kind::ChunkResponse, id, 0, b"evil"),
        of(Kind::EndResponse, id, 0, b""),
        of(Kind::ErrorResponse, id, 0, &Fault::new(Code::Application).encode()),
        of(Kind::ErrorResponse, id, 0, &Fault::new(Code::Returned).encode()),
    ]
}

/// The same, with payloads and numbers that nobody may look at.
fn nonsense(id: ExchangeId) -> Vec<Frame> {
    vec![
        of(Kind::ChunkRequest, id, u64::MAX, &[7; 60_000]),
        of(Kind::EndRequest, id, u64::MAX, b"\0\0\0"),
        of(Kind::ErrorRequest, id, 0, b"\xff\xff\x05abc"),
        of(Kind::AckResponse, id, u64::MAX, b""),
        of(Kind::AckRequest, id, u64::MAX, b""),
        raw_start(Kind::StartResponse, id, b"\0\0\0", b"evil"),
        of(Kind::StartResponse, id, 0, b"\xff\xff"),
        of(Kind::ChunkResponse, id, u64::MAX, &[7; 60_000]),
        of(Kind::EndResponse, id, u64::MAX, b"\x01A\0\0"),
        of(Kind::ErrorResponse, id, 0, b"\0\x10\x05abc"),
    ]
}

fn name(frame: &Frame) -> String {
    let last = if frame.has(Flags::FINAL) { " with FINAL" } else { "" };
    let what = frame.payload.get(1).filter(|_| frame.kind == Kind::ErrorResponse);
    format!("{}{last}{}", frame.kind.name(), what.map(|code| format!(" of code {code}")).unwrap_or_default())
}

#[tokio::test]
async fn a_start_under_an_id_that_is_not_its_own() {
    let foreign = |title: &str, own: fn(&Cast) -> ClientId| {
        case(title, move |cast: Cast| async move {
            let mut offender = cast.client().await;
            let id = ExchangeId { client: own(&cast), ..made_up(&offender, 1 << 60) };
            offender.send(&start(Kind::StartRequest, id, Flags::FINAL, b"a")).await;
            expelled(&mut offender, Code::InvalidFrame, "client id").await;
        })
    };
    play(vec![
        foreign("a start in the bystander's name", |cast| cast.bystander.client),
        foreign("a start in the name of nobody", |_| ClientId::from_u128(77)),
        foreign("a start in the highest name", |_| ClientId::from_u128(u128::MAX)),
        case("a start as the bystander's own exchange", |cast: Cast| async move {
            let mut offender = cast.client().await;
            offender.send(&start(Kind::StartRequest, cast.bystander, Flags::FINAL, b"a")).await;
            expelled(&mut offender, Code::InvalidFrame, "client id").await;
        }),
    ])
    .await;
}

/// Starts with these request ids, of which the last is the wrong one.
fn disorder(title: &str, ids: &'static [u128], other_channel: bool) -> Case {
    case(title, move |cast: Cast| async move {
        let mut offender = cast.client().await;
        for (at, number) in ids.iter().enumerate() {
            let mut id = made_up(&offender, *number);
            if other_channel && at > 0 {
                id.channel = channel("elsewhere");
            }
            offender.send(&start(Kind::StartRequest, id, Flags::NONE, b"a")).await;
        }
        expelled(&mut offender, Code::DuplicateId, "").await;
    })
}

#[tokio::test]
async fn request_ids_that_do_not_increase() {
    play(vec![
        disorder("the same id twice", &[1, 1], false),
        disorder("an id that is lower", &[5, 4], false),
        disorder("an id in a gap", &[1, 9, 5], false),
        disorder("the lowest behind the highest", &[u128::MAX, 1], false),
        disorder("the highest twice", &[u128::MAX, u128::MAX], false),
        disorder("an id that is lower in its upper half", &[2 << 64, (1 << 64) + 5], false),
        disorder("the same id on another channel", &[1, 1], true),
        disorder("a lower id on another channel", &[5, 4], true),
        case("the id of a request that is over", |cast: Cast| async move {
            let mut offender = cast.client().await;
            let id = offender.start(channel("nobody"), Flags::NO_WAIT, b"a").await;
            assert_eq!(offender.expect_fault(Kind::ErrorResponse).await.code, Code::NoReceiver);
            offender.send(&start(Kind::StartRequest, id, Flags::NO_WAIT, b"a")).await;
            expelled(&mut offender, Code::DuplicateId, "").await;
        }),
        case("a duplicate of a request that a receiver has in hand", |cast: Cast| async move {
            let mut pair = cast.offending_sender(Flags::NONE, b"ab").await;
            pair.offender.send(&start(Kind::StartRequest, pair.id, Flags::NONE, b"ab")).await;
            expelled(&mut pair.offender, Code::DuplicateId, "").await;
            assert_eq!(pair.victim.expect_fault(Kind::ErrorRequest).await.code, Code::SenderLost);
        }),
    ])
    .await;
}

#[tokio::test]
async fn frames_of_requests_that_were_never_started() {
    let mut cases = Vec::new();
    for which in 0..5 {
        let title = name(&of_opener(made_up_of(1))[which]);
        cases.push(case(format!("{title} before any start"), move |cast: Cast| async move {
            let mut offender = cast.client().await;
            let frame = of_opener(made_up(&offender, 1)).swap_remove(which);
            offender.send(&frame).await;
            expelled(&mut offender, Code::InvalidFrame, "").await;
        }));
        cases.push(case(format!("{title} one above the highest"), move |cast: Cast| async move {
            let mut pair = cast.offending_sender(Flags::NONE, b"ab").await;
            let next = pair.id.request.as_u128() + 1;
            let frame = of_opener(made_up(&pair.offender, next)).swap_remove(which);
            pair.offender.send(&frame).await;
            expelled(&mut pair.offender, Code::InvalidFrame, "").await;
            assert_eq!(pair.victim.expect_fault(Kind::ErrorRequest).await.code, Code::SenderLost);
        }));
        cases.push(case(format!("{title} of the highest id that there is"), move |cast: Cast| async move {
            let mut offender = cast.client().await;
            offender.start(channel(MEETING), Flags::NONE, b"ab").await;
            let frame = of_opener(made_up(&offender, u128::MAX)).swap_remove(which);
            offender.send(&frame).await;
            expelled(&mut offender, Code::InvalidFrame, "").await;
        }));
    }
    play(cases).await;
}

fn made_up_of(client: u128) -> ExchangeId {
    ExchangeId {
        client: ClientId::from_u128(client),
        request: RequestId::from_u128(1),
        channel: ChannelId::of_name(MEETING),
    }
}

/// How a request of one's own came to be gone.
#[derive(Clone, Copy)]
enum Gone {
    PassedOver,
    Refused,
    Cancelled,
    Served,
    Failed,
    OfAnotherChannel,
}

impl Gone {
    const ALL: [(Self, &'static str); 6] = [
        (Self::PassedOver, "passed over"),
        (Self::Refused, "refused"),
        (Self::Cancelled, "cancelled"),
        (Self::Served, "served"),
        (Self::Failed, "failed"),
        (Self::OfAnotherChannel, "live on another channel"),
    ];

    async fn bring_about(self, cast: &Cast, offender: &mut RawClient) -> ExchangeId {
        match self {
            Self::PassedOver => {
                let id = offender.exchange(channel(MEETING));
                offender.start(channel("nobody"), Flags::NONE, b"ab").await;
                id
            }
            Self::Refused => {
                let id = offender.start(channel("nobody"), Flags::NO_WAIT, b"ab").await;
                offender.expect(Kind::ErrorResponse).await;
                id
            }
            Self::Cancelled => {
                let id = offender.start(channel("nobody"), Flags::NONE, b"ab").await;
                offender.send(&of(Kind::ErrorRequest, id, 0, &code(15))).await;
                assert_eq!(offender.expect_fault(Kind::ErrorResponse).await.code, Code::Cancelled);
                id
            }
            Self::Served => {
                let mut receiver = cast.client().await;
                receiver.receive(channel(MEETING), 1).await;
                receiver.settle().await;
                let id = offender.start(channel(MEETING), Flags::NONE, b"ab").await;
                receiver.expect(Kind::StartRequest).await;
                receiver.send(&start(Kind::StartResponse, id, Flags::FINAL, b"xy")).await;
                offender.expect(Kind::StartResponse).await;
                id
            }
            Self::Failed => {
                let id = offender.start(channel("nobody"), Flags::NONE, b"ab").await;
                offender.send(&of(Kind::ChunkRequest, id, 9, b"gap")).await;
                assert_eq!(offender.expect_fault(Kind::ErrorResponse).await.code, Code::InvalidFrame);
                id
            }
            Self::OfAnotherChannel => {
                let id = offender.start(channel("nobody"), Flags::NONE, b"ab").await;
                ExchangeId { channel: channel(MEETING), ..id }
            }
        }
    }
}

#[tokio::test]
async fn late_frames_of_ones_own_requests() {
    let mut cases = Vec::new();
    for (gone, how) in Gone::ALL {
        for which in 0..5 {
            let title = name(&of_opener(made_up_of(1))[which]);
            cases.push(case(format!("{title} of a request {how}"), move |cast: Cast| async move {
                let mut offender = cast.client().await;
                let id = gone.bring_about(&cast, &mut offender).await;
                let frame = of_opener(id).swap_remove(which);
                offender.send(&frame).await;
                unmoved(&mut offender).await;
            }));
        }
        for which in 0..4 {
            let title = name(&nonsense(made_up_of(1))[which]);
            cases.push(case(format!("{title} that can't be read, of a request {how}"), move |cast: Cast| async move {
                let mut offender = cast.client().await;
                let id = gone.bring_about(&cast, &mut offender).await;
                let frame = nonsense(id).swap_remove(which);
                offender.send(&frame).await;
                unmoved(&mut offender).await;
            }));
        }
    }
    play(cases).await;
}

/// Whose exchange a stranger meddles with.
#[derive(Clone, Copy)]
enum Whose {
    Bystanders,
    BystandersOther,
    BystandersElsewhere,
    Nobodys,
}

impl Whose {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Bystanders, "the bystander's exchange"),
        (Self::BystandersOther, "an exchange that the bystander hasn't"),
        (Self::BystandersElsewhere, "the bystander's exchange on a wrong channel"),
        (Self::Nobodys, "an exchange of nobody"),
    ];

    fn id(self, cast: &Cast) -> ExchangeId {
        let real = cast.bystander;
        match self {
            Self::Bystanders => real,
            Self::BystandersOther => ExchangeId { request: RequestId::from_u128(1 << 70), ..real },
            Self::BystandersElsewhere => ExchangeId { channel: channel("elsewhere"), ..real },
            Self::Nobodys => ExchangeId { client: ClientId::from_u128(1 << 70), ..real },
        }
    }
}

/// Each frame of the list, in each case alone: no answer, whoever's it is.
fn meddling(list: fn(ExchangeId) -> Vec<Frame>, title: &str, receives: bool) -> Vec<Case> {
    let mut cases = Vec::new();
    for (whose, words) in Whose::ALL {
        for (which, frame) in list(made_up_of(1)).iter().enumerate() {
            let title = format!("{}{title} ({which}), about {words}", name(frame));
            cases.push(case(title, move |cast: Cast| async move {
                let mut offender = cast.client().await;
                if receives {
                    offender.receive(channel(MEETING), 5).await;
                }
                let frame = list(whose.id(&cast)).swap_remove(which);
                // What is legal for a first frame is no different for a second.
                offender.send(&frame).await;
                offender.send(&frame).await;
                unmoved(&mut offender).await;
            }));
        }
    }
    cases
}

#[tokio::test]
async fn a_stranger_in_the_openers_name() {
    play(meddling(of_opener, "", false)).await;
}

#[tokio::test]
async fn a_stranger_in_the_receivers_name() {
    play(meddling(of_receiver, "", false)).await;
}

#[tokio::test]
async fn a_stranger_that_receives_on_the_channel() {
    play(meddling(of_receiver, " from a receiver", true)).await;
}

#[tokio::test]
async fn a_stranger_whose_frames_cannot_be_read() {
    play(meddling(nonsense, " in nonsense", false)).await;
}

#[tokio::test]
async fn frames_from_the_wrong_side_of_an_exchange() {
    let mut cases = Vec::new();
    for which in 0..5 {
        let title = name(&of_opener(made_up_of(1))[which]);
        cases.push(case(format!("{title} from the receiver of the request"), move |cast: Cast| async move {
            let mut pair = cast.offending_receiver(Flags::NONE, b"ab").await;
            pair.offender.send(&of_opener(pair.id).swap_remove(which)).await;
            unmoved(&mut pair.offender).await;
            unmoved(&mut pair.victim).await;
            serve(&mut pair.offender, &mut pair.victim, pair.id).await;
        }));
    }
    for which in 0..6 {
        let title = name(&of_receiver(made_up_of(1))[which]);
        cases.push(case(format!("{title} from the sender of the request"), move |cast: Cast| async move {
            let mut pair = cast.offending_sender(Flags::NONE, b"ab").await;
            pair.offender.send(&of_receiver(pair.id).swap_remove(which)).await;
            unmoved(&mut pair.offender).await;
            unmoved(&mut pair.victim).await;
            serve(&mut pair.victim, &mut pair.offender, pair.id).await;
        }));
        cases.push(case(format!("{title} for a request that waits, from a receiver"), move |cast: Cast| async move {
            let mut victim = cast.client().await;
            let mut offender = cast.client().await;
            offender.receive(channel(MEETING), 0).await;
            offender.settle().await;
            let id = victim.start(channel(MEETING), Flags::NONE, b"ab").await;
            victim.settle().await;
            offender.send(&of_receiver(id).swap_remove(which)).await;
            unmoved(&mut offender).await;
            unmoved(&mut victim).await;
            let mut honest = cast.client().await;
            honest.receive(channel(MEETING), 1).await;
            assert_eq!(body(&honest.expect(Kind::StartRequest).await), "ab");
            serve(&mut honest, &mut victim, id).await;
        }));
        cases.push(case(format!("{title} from who returned the request"), move |cast: Cast| async move {
            let mut pair = cast.offending_receiver(Flags::NONE, b"ab").await;
            pair.offender.send(&of(Kind::ErrorResponse, pair.id, 0, &code(16))).await;
            let mut honest = cast.client().await;
            honest.receive(channel(MEETING), 1).await;
            assert_eq!(body(&honest.expect(Kind::StartRequest).await), "ab");
            pair.offender.send(&of_receiver(pair.id).swap_remove(which)).await;
            unmoved(&mut pair.offender).await;
            unmoved(&mut pair.victim).await;
            serve(&mut honest, &mut pair.victim, pair.id).await;
        }));
    }
    play(cases).await;
}

/// The exchange goes on in both directions as if nothing had been, to its end.
async fn serve(receiver: &mut RawClient, sender: &mut RawClient, id: ExchangeId) {
    sender.send(&last(of(Kind::ChunkRequest, id, 2, b"cd"))).await;
    let chunk = receiver.expect(Kind::ChunkRequest).await;
    assert_eq!((chunk.header.value, chunk.payload), (2, Bytes::from_static(b"cd")));
    receiver.send(&start(Kind::StartResponse, id, Flags::FINAL, b"good")).await;
    let response = sender.expect(Kind::StartResponse).await;
    assert_eq!((response.header.exchange_id(), body(&response)), (id, Bytes::from_static(b"good")));
}
