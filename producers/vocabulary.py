"""Words of the generated tickets: templates and fillers per language and request type.

Data only. A template is the opening of a request; `CLOSINGS` may follow it. `{name}` stands for one
of the fillers of that name, `{number}` for a five-digit number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Language = Literal["en", "fr"]

# Shares in percent, as on a typical help desk: most is technical, little is critical.
TYPE_WEIGHTS: Final[Mapping[str, int]] = {
    "technical": 38, "billing": 31, "account": 19, "general": 12,
}  # fmt: skip
PRIORITY_WEIGHTS: Final[Mapping[str, Mapping[str, int]]] = {
    "technical": {"low": 18, "medium": 42, "high": 28, "critical": 12},
    "billing": {"low": 25, "medium": 48, "high": 22, "critical": 5},
    "account": {"low": 30, "medium": 44, "high": 20, "critical": 6},
    "general": {"low": 58, "medium": 33, "high": 8, "critical": 1},
}


@dataclass(frozen=True)
class Words:
    """The words of one language."""

    templates: Mapping[str, tuple[str, ...]]
    fillers: Mapping[str, tuple[str, ...]]
    closings: tuple[str, ...]


ENGLISH: Final = Words(
    templates={
        "billing": (
            "I was charged twice for {product} in {month}, see invoice INV-{number}.",
            "The amount on invoice INV-{number} does not match the price of {product}.",
            "Please refund my {product} subscription, I cancelled it in {month}.",
            "My {card} was declined when I tried to renew {product}.",
            "I need a corrected VAT invoice for {product} ({month}).",
            "The discount code SAVE{number} was not applied to {product}.",
            "Can I switch {product} from monthly to yearly billing before {month}?",
            "Invoice INV-{number} was sent to our old address again.",
            "There is a fee of {amount} on my statement for {month} that I cannot explain.",
        ),
        "technical": (
            "{product} shows error {code} as soon as I open {screen}.",
            "{screen} stays blank in {browser} since the last update of {product}.",
            "Synchronisation of {product} stops at {percent} with error {code}.",
            "{product} is very slow, {screen} takes more than a minute to load.",
            "I cannot export to {format} from {screen}: the file is empty.",
            "The {product} API answers {code} for about {percent} of our calls.",
            "{product} crashes on {device} whenever I open {screen}.",
            "Notifications from {product} arrive hours late on {device}.",
            "Import of a {format} file with {number} lines fails at {percent}.",
        ),
        "account": (
            "I cannot sign in to {product}: the password reset e-mail never arrives.",
            "Please change the owner of our {product} workspace to a colleague.",
            "My account was locked after I signed in from {device}.",
            "How do I add a second user to {product} without a new licence?",
            "The two-factor code for {product} is rejected on {device}.",
            "Please merge my two {product} accounts, the second is number {number}.",
            "I would like to delete my account and all data kept by {product}.",
            "My display name still shows the old company on {screen}.",
        ),
        "general": (
            "What are your opening hours during the holidays in {month}?",
            "Do you offer {product} to schools and associations?",
            "Where can I find the {format} documentation of {product}?",
            "Is {product} going to support {device}?",
            "I would like to thank your team for the help with {screen}.",
            "Which of your plans includes {screen}?",
            "Could you call me about {product}? My reference is {number}.",
        ),
    },
    fillers={
        "product": ("Cloud Backup", "Team Planner", "Mail Plus", "Data Vault", "Smart Router",
                    "Video Rooms", "Payroll Online", "Web Shop", "Fleet Tracker", "Doc Signer"),
        "month": ("January", "February", "March", "April", "May", "June", "July", "August",
                  "September", "October", "November", "December"),
        "card": ("credit card", "debit card", "company card", "direct debit"),
        "amount": ("4.99 EUR", "12.50 EUR", "29.00 EUR", "149.90 EUR", "1,200.00 EUR"),
        "code": ("E-1042", "E-2210", "0x80070057", "HTTP 500", "HTTP 502", "HTTP 403", "T-17"),
        "screen": ("the dashboard", "the report page", "the calendar", "the settings page",
                   "the \"Orders\" tab", "the search", "the file browser", "the payment page"),
        "browser": ("Firefox", "Chrome", "Safari", "Edge"),
        "percent": ("3 %", "12 %", "47 %", "80 %", "99 %"),
        "format": ("CSV", "PDF", "Excel", "XML", "JSON"),
        "device": ("my iPhone", "an Android tablet", "Windows 11", "macOS", "Linux", "my TV"),
    },
    closings=(
        "", "", " It has been like this since Monday.", " Please call me back this afternoon.",
        " This is the second time I ask.", " Nothing has changed on our side.",
        " We have a deadline tomorrow.", " Restarting did not help.", " Thanks in advance!",
        " A screenshot is attached.", " Several colleagues see the same.",
        " There is no hurry.", " I am waiting for your answer.", " Otherwise I am very happy.",
        "\nBest regards", " Your chat asked me to write here.",
    ),
)  # fmt: skip

FRENCH: Final = Words(
    templates={
        "billing": (
            "J'ai été débité deux fois pour {product} en {month}, facture FAC-{number}.",
            "Le montant de la facture FAC-{number} ne correspond pas au prix de {product}.",
            "Merci de rembourser mon abonnement {product}, résilié en {month}.",
            "Ma {card} est refusée pour le renouvellement de {product}.",
            "Il me faut une facture rectifiée avec TVA pour {product} ({month}).",
            "Le code de réduction PROMO{number} n'a pas été appliqué à {product}.",
            "Des frais de {amount} figurent sur mon relevé de {month} sans explication.",
        ),
        "technical": (
            "{product} affiche l'erreur {code} dès que j'ouvre {screen}.",
            "Depuis la mise à jour de {product}, {screen} reste vide sous {browser}.",
            "La synchronisation de {product} s'arrête à {percent} avec l'erreur {code}.",
            "{product} est très lent : {screen} met plus d'une minute à s'afficher.",
            "Impossible d'exporter en {format} depuis {screen} : le fichier est vide.",
            "{product} plante sur {device} à l'ouverture de {screen}.",
            "L'import d'un fichier {format} de {number} lignes échoue à {percent}.",
        ),
        "account": (
            "Connexion à {product} impossible : le courriel de réinitialisation n'arrive jamais.",
            "Merci de transférer notre espace {product} à une collègue.",
            "Mon compte a été bloqué après une connexion depuis {device}.",
            "Comment ajouter un deuxième utilisateur à {product} ?",
            "Le code à deux facteurs de {product} est refusé sur {device}.",
            "Merci de fusionner mes deux comptes, le second porte le numéro {number}.",
            "Je souhaite supprimer mon compte et toutes mes données chez {product}.",
        ),
        "general": (
            "Quels sont vos horaires d'ouverture pendant les fêtes de {month} ?",
            "Proposez-vous {product} aux écoles et aux associations ?",
            "Où trouver la documentation {format} de {product} ?",
            "{product} sera-t-il disponible sur {device} ?",
            "Je tiens à remercier votre équipe pour son aide avec {screen}.",
            "Pouvez-vous me rappeler au sujet de {product} ? Ma référence est {number}.",
        ),
    },
    fillers={
        "product": ("Sauvegarde Cloud", "Planning Équipe", "Courriel Plus", "Coffre Numérique",
                    "Boîtier Malin", "Salles Vidéo", "Paie en Ligne", "Boutique Web"),
        "month": ("janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août",
                  "septembre", "octobre", "novembre", "décembre"),
        "card": ("carte bancaire", "carte de crédit", "carte de société"),
        "amount": ("4,99 €", "12,50 €", "29,00 €", "149,90 €", "1 200,00 €"),
        "code": ("E-1042", "E-2210", "0x80070057", "HTTP 500", "HTTP 502", "HTTP 403", "T-17"),
        "screen": ("le tableau de bord", "la page des rapports", "le calendrier", "la recherche",
                   "l'onglet « Commandes »", "la page de paiement", "le gestionnaire de fichiers"),
        "browser": ("Firefox", "Chrome", "Safari", "Edge"),
        "percent": ("3 %", "12 %", "47 %", "80 %", "99 %"),
        "format": ("CSV", "PDF", "Excel", "XML", "JSON"),
        "device": ("mon iPhone", "une tablette Android", "Windows 11", "macOS", "Linux"),
    },
    closings=(
        "", "", " C'est ainsi depuis lundi.", " Merci de me rappeler cet après-midi.",
        " C'est ma deuxième demande.", " Rien n'a changé de notre côté.",
        " Nous avons une échéance demain.", " Redémarrer n'a rien changé.", " Merci d'avance !",
        " Une capture d'écran est jointe.", " Plusieurs collègues ont le même souci.",
        " Rien d'urgent.", " J'attends votre réponse.", " À part cela, tout va bien.",
        "\nCordialement", " Le tchat m'a dit d'écrire ici.",
    ),
)  # fmt: skip

WORDS: Final[Mapping[Language, Words]] = {"en": ENGLISH, "fr": FRENCH}
