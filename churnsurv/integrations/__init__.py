"""Bridges to other libraries, each loaded only where it is asked for.

`churnsurv.integrations.sklearn` needs the extra ``sklearn``; `churnsurv.integrations.lifelines` stands behind
``CoxFit.to_lifelines``. A bridge holds no formula of its own.
"""
