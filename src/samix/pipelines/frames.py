"""The type of tables in the nodes' signatures, without the import of pandas.

Kedro evaluates the annotations of every node when it looks for typed parameters, so a name that only type
checkers know would cost the stage its typed parameters.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame as DataFrame
else:
    DataFrame = Any
