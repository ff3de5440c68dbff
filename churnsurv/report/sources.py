"""Where the methods of a report come from: the papers and books, and the chapter of the package's own page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType

from churnsurv.report.material import Material

__all__ = ["PAGE", "SOURCES", "Source", "sources_of"]

#: The page that has each formula, and how it was checked.
PAGE = "docs/methods.md"


@dataclass(frozen=True, slots=True)
class Source:
    """What a method rests on.

    Attributes
    ----------
    chapter : int
        Of `PAGE`.
    references : str
        In the language of the papers.
    """

    chapter: int
    references: str


SOURCES = MappingProxyType(
    {
        "risk": Source(2, "Andersen, Borgan, Gill and Keiding (1993). Statistical Models Based on Counting Processes."),
        "kaplan_meier": Source(
            3,
            "Kaplan and Meier (1958). JASA 53, 457–481. Greenwood (1926). The Natural Duration of Cancer. Borgan and "
            "Liestøl (1990). Scandinavian Journal of Statistics 17, 35–41. Brookmeyer and Crowley (1982). Biometrics "
            "38, 29–41.",
        ),
        "logrank": Source(
            4,
            "Mantel (1966). Cancer Chemotherapy Reports 50, 163–170. Peto and Peto (1972). Journal of the Royal "
            "Statistical Society A 135, 185–207.",
        ),
        "cox": Source(
            5,
            "Cox (1972). Journal of the Royal Statistical Society B 34, 187–220. Cox (1975). Biometrika 62, 269–276. "
            "Efron (1977). JASA 72, 557–565. Breslow (1974). Biometrics 30, 89–99.",
        ),
        "cox_grouped": Source(
            5,
            "Prentice and Gloeckler (1978). Biometrics 34, 57–67. Kalbfleisch and Prentice (2002). The Statistical "
            "Analysis of Failure Time Data, 2nd edition.",
        ),
        "who": Source(
            9,
            "Wilson (1927). JASA 22, 209–212. Miettinen and Nurminen (1985). Statistics in Medicine 4, 213–226. Aalen "
            "and Johansen (1978). Scandinavian Journal of Statistics 5, 141–150.",
        ),
        "bursts": Source(
            9,
            "Benjamini and Hochberg (1995). Journal of the Royal Statistical Society B 57, 289–300. Noufaily and "
            "others (2013). Statistics in Medicine 32, 1206–1222.",
        ),
        "value": Source(9, "Bang and Tsiatis (2000). Biometrika 87, 329–343."),
        "reasons": Source(
            9,
            "Hajek (1971), in Foundations of Statistical Inference, 236. Lunceford and Davidian (2004). Statistics in "
            "Medicine 23, 2937–2960. Manski (1989). Journal of Human Resources 24, 343–360. Imbens and Manski (2004). "
            "Econometrica 72, 1845–1857.",
        ),
        "experience": Source(
            9,
            "Bruzzi and others (1985). American Journal of Epidemiology 122, 904–914. Greenland and Drescher (1993). "
            "Biometrics 49, 865–872.",
        ),
        "monitor": Source(
            9,
            "Page (1954). Biometrika 41, 100–115. Steiner, Cook, Farewell and Treasure (2000). Biostatistics 1, "
            "441–452.",
        ),
        "shocks": Source(
            9,
            "Abadie, Diamond and Hainmueller (2010). JASA 105, 493–505. Donald and Lang (2007). Review of Economics "
            "and Statistics 89, 221–233. MacKinnon and Webb (2017). Journal of Applied Econometrics 32, 233–254.",
        ),
        "idle_risk": Source(
            10,
            "Williams (1995). Lifetime Data Analysis 1, 171–186. Woodruff (1952). JASA 47, 635–646. Wolter (2007). "
            "Introduction to Variance Estimation, 2nd edition, chapter 2.",
        ),
        "tiers": Source(
            10, "Vickers and Elkin (2006). Medical Decision Making 26, 565–574. Efron (1983). JASA 78, 316–331."
        ),
        "backtest": Source(
            10,
            "Bergmeir and Benítez (2012). Information Sciences 191, 192–213. Cochran (1977). Sampling Techniques, 3rd "
            "edition. Holm (1979). Scandinavian Journal of Statistics 6, 65–70.",
        ),
        "lift": Source(
            11, "Lin (2013). Annals of Applied Statistics 7, 295–318. Lu and Tsiatis (2008). Biometrika 95, 679–694."
        ),
        "lift_observed": Source(
            11,
            "Robins, Rotnitzky and Zhao (1994). JASA 89, 846–866. Lunceford and Davidian (2004). Statistics in "
            "Medicine 23, 2937–2960.",
        ),
        "lift_monitor": Source(
            11, "Ville (1939). Étude critique de la notion de collectif. Howard and others (2021). Annals of "
            "Statistics 49, 1055–1080.",
        ),
    }
)  # fmt: skip


def sources_of(material: Material) -> Iterator[tuple[str, Source]]:
    """Each method that the report uses, with its source."""
    lift, cox = material.lift, material.cox
    used = {
        "risk": True,
        "kaplan_meier": bool(material.curves),
        "logrank": bool(material.tests),
        "cox": cox is not None and cox.ties != "grouped",
        "cox_grouped": cox is not None and cox.ties == "grouped",
        "who": material.structure is not None or material.profile is not None,
        "bursts": material.bursts is not None,
        "value": material.channels is not None,
        "reasons": material.reasons is not None or material.reasons_by is not None,
        "experience": material.experience is not None,
        "monitor": material.monitor is not None,
        "shocks": material.shocks is not None,
        "idle_risk": material.idle_risk is not None,
        "tiers": material.tiers is not None,
        "backtest": material.backtest is not None,
        "lift": lift is not None and lift.design == "randomised",
        "lift_observed": lift is not None and lift.design != "randomised",
        "lift_monitor": bool(material.lift_monitors),
    }
    return ((key, SOURCES[key]) for key, there in used.items() if there)
