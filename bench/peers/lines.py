"""Results as lines of JSON: each case is tried, and one that fails is a line too."""
import json
import time


class Lines:
    """Writes one line a case, with the fields that all of them share. After `stop_s` seconds no case is begun any more."""

    def __init__(self, stop_s=0, **shared):
        self.shared = shared
        self.end = time.monotonic() + stop_s if stop_s else float("inf")

    def write(self, **fields):
        print(json.dumps({**self.shared, **fields}), flush=True)

    def attempt(self, work, **fields):
        """Writes what work() gives (a dict), or why it failed. -> the dict, or None."""
        if time.monotonic() > self.end:
            self.write(**fields, error="left out: no time")
            return None
        result = self.guard(work, **fields)
        if result is not None:
            self.write(**fields, **result)
        return result

    def guard(self, work, **fields):
        """-> what work() gives; None, and a line, if it fails: one failure must not end the rest."""
        try:
            return work()
        except Exception as error:
            self.write(**fields, error=f"{type(error).__name__}: {error}"[:400])
            return None
