//! Which test is expected to notice each mutant. It runs first; if it doesn't, all others do, which only takes longer.

use tieline_protocol::mutant::Mutant;

/// Where to look first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    /// As `suites` names it.
    pub(crate) suite: &'static str,
    pub(crate) test: &'static str,
    /// That a test doesn't end is how this mutant shows itself.
    pub(crate) hangs: bool,
}

const fn story(test: &'static str) -> Expected {
    Expected { suite: "tieline-broker/stories", test, hangs: false }
}

/// See the module.
pub(crate) const fn expected(mutant: Mutant) -> Expected {
    match mutant {
        Mutant::RequestBroadcast => story("assignment::second_receiver_never_sees_first_request"),
        Mutant::OpenerNotChecked => {
            story("ownership::an_impostor_with_anothers_client_id_gets_nothing_of_a_live_request")
        }
        Mutant::ReceiverNotChecked => story("ownership::frames_of_strangers_change_nothing_for_anybody"),
        Mutant::TimeOutsNotEnforced => story("old_faults::time_outs_are_enforced"),
        Mutant::DeadReceiverAssigned => story("old_faults::a_dead_receiver_is_assigned_nothing"),
        Mutant::RefusedSilently => story("old_faults::a_full_queue_answers_whoever_it_refuses"),
        Mutant::UnassignedOnlyAtEnd => story("old_faults::death_cancel_and_time_out_leak_no_assignment"),
        Mutant::StartedSaidUnstarted => story("handing_out_again::unstarted_is_true_of_a_cancel_and_a_deadline_too"),
        Mutant::ReadinessLostOnTakeBack => {
            story("receives::a_start_that_has_not_left_is_taken_out_whole_and_its_readiness_used_for_the_next")
        }
        Mutant::CancelLeaksOneByte => story("memory::an_exchange_holds_its_admission_until_its_last_byte_is_written"),
    }
}
