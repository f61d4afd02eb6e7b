"""threadpoolctl knows us: threadpool_limits limits fastloss, and threadpool_info lists it (user_api "fastloss").

    with threadpool_limits(limits=1): ...                          limits everything, fastloss too
    with threadpool_limits(limits={"fastloss": 1}): ...            fastloss alone; user_api="fastloss" says the same
    with threadpool_limits(limits=1, user_api="blas"): ...         not fastloss, which is no BLAS; and no OpenMP

threadpoolctl looks for loaded libraries by file name, at the start of every limit, among those that controllers are registered for by
then; fastloss loads nothing before it is used. So the controller is registered, and a small library of ours loaded for it to find, as
soon as both packages are imported, whichever comes first. Nothing is imported for the sake of it.
"""

import importlib.machinery
import sys

NAME = "threadpoolctl"


def announce():
    """Register with threadpoolctl: now if it is imported, otherwise when it is."""
    if NAME in sys.modules:
        _register(sys.modules[NAME])
    else:
        sys.meta_path.insert(0, _Watch())


class _Watch:
    """Among the finders of modules: finds threadpoolctl where Python does, and has it registered with when it has been executed."""

    def find_spec(self, name, path=None, target=None):
        spec = importlib.machinery.PathFinder.find_spec(name, path, target) if name == NAME else None
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            if self in sys.meta_path:
                sys.meta_path.remove(self)
                _register(module)

        spec.loader.exec_module = exec_module
        return spec


def _register(threadpoolctl):
    if not hasattr(threadpoolctl, "register"):  # before 3.2
        return
    try:
        from fastloss.kernels import cpu
    except ImportError:  # nothing was compiled, so there is no library to control
        return

    class FastlossController(threadpoolctl.LibController):
        user_api = internal_api = "fastloss"
        filename_prefixes = (cpu.__name__.rpartition(".")[2] + ".",)
        check_symbols = ("fastloss_has_threads",)  # other packages may have a library of that name

        def get_num_threads(self):
            return _threads().get_num_threads()

        def set_num_threads(self, num_threads):
            _threads().set_num_threads(num_threads and max(1, num_threads))

        def get_version(self):
            from importlib.metadata import version

            return version("fastloss")

    threadpoolctl.register(FastlossController)


def _threads():
    from fastloss.engine import threads

    return threads
