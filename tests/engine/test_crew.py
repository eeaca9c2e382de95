import threading

from chaoskit.engine.crew import Crew


def test_threads_are_named_repeat_and_are_joined():
    enough, calls = threading.Event(), []

    def work():
        calls.append(threading.current_thread().name)
        if len(calls) == 3:
            enough.set()

    with Crew() as crew:
        crew.every(0.001, work, name="bee")
        assert enough.wait(5)
    assert set(calls) == {"chaoskit-bee"}
    assert "chaoskit-bee" not in [thread.name for thread in threading.enumerate()]
    assert crew.errors == []


def test_an_error_in_a_thread_is_kept():
    raised = threading.Event()

    def work():
        raised.set()
        raise ValueError("broken probe")

    with Crew() as crew:
        crew.every(0.001, work, name="bee")
        assert raised.wait(5)
    assert [str(error) for error in crew.errors] == ["broken probe"]
