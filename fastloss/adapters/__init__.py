"""One file per host: a library whose interface losses are put into. What users import is fastloss.<host>."""
