# For `from fastloss cimport ...` where Cython is told include_path=[fastloss.get_include()]: an editable install is found by no other way.

include "../__init__.pxd"
