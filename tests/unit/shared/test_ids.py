from concurrent.futures import ThreadPoolExecutor
from uuid import RFC_4122, UUID

from deborch_shared.ids import new_event_id


def test_an_event_id_is_a_uuid_of_version_7():
    made = UUID(new_event_id())
    assert (made.version, made.variant) == (7, RFC_4122)


def test_event_ids_sort_by_the_order_in_which_they_were_made_even_within_a_millisecond():
    made = [new_event_id() for _ in range(20_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_threads_never_make_the_same_event_id():
    with ThreadPoolExecutor(4) as pool:
        made = [i for part in pool.map(lambda _: [new_event_id() for _ in range(2_000)], range(4)) for i in part]
    assert len(set(made)) == len(made)
